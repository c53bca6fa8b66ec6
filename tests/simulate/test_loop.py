"""Virtual time: what is due first is done first, and nobody waits."""

from mesh.simulate.loop import Loop


def test_what_is_due_first_is_done_first_and_ties_in_the_order_asked_for():
    loop, done = Loop(), []

    def note(what):
        done.append((loop.now, what))

    loop.after(2.0, note, "late")
    loop.after(1.0, note, "first")
    loop.at(1.0, note, "second")
    loop.run()

    assert [(1.0, "first"), (1.0, "second"), (2.0, "late")] == done


def test_what_is_asked_for_on_the_way_is_done_too():
    loop, done = Loop(), []

    def again(times):
        done.append(loop.clock())
        if times:
            loop.after(0.5, again, times - 1)

    loop.after(1.0, again, 2)
    loop.run()

    assert [1.0, 1.5, 2.0] == done
