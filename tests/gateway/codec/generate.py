"""Random messages of any type, by descriptor."""

import contextlib
import math

from google.protobuf.descriptor import FieldDescriptor as F
from google.protobuf.message_factory import GetMessageClass
from hypothesis import strategies as st

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
INT32 = st.integers(-(2**31), 2**31 - 1)
INT64 = st.integers(-(2**63), 2**63 - 1)
UINT32 = st.integers(0, 2**32 - 1)
UINT64 = st.integers(0, 2**64 - 1)
SCALARS = {
    F.TYPE_DOUBLE: st.floats(allow_nan=False)
    | st.just(math.nan),  # one NaN: the others' bits are lost in JSON
    F.TYPE_FLOAT: st.floats(width=32, allow_nan=False) | st.just(math.nan),
    F.TYPE_INT32: INT32,
    F.TYPE_SINT32: INT32,
    F.TYPE_SFIXED32: INT32,
    F.TYPE_INT64: INT64,
    F.TYPE_SINT64: INT64,
    F.TYPE_SFIXED64: INT64,
    F.TYPE_UINT32: UINT32,
    F.TYPE_FIXED32: UINT32,
    F.TYPE_UINT64: UINT64,
    F.TYPE_FIXED64: UINT64,
    F.TYPE_BOOL: st.booleans(),
    F.TYPE_STRING: TEXT,
    F.TYPE_BYTES: st.binary(max_size=8),
}
JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
PATH = st.from_regex(r"[a-z]{1,4}(_[a-z]{1,3}){0,2}(\.[a-z]{1,4}(_[a-z]{1,3})?)?", fullmatch=True)


def scalar(field):
    if field.enum_type is not None:
        if field.enum_type.full_name == "google.protobuf.NullValue":
            return st.just(0)  # other numbers are printed as null all the same
        known = st.sampled_from(sorted(field.enum_type.values_by_number))
        return known if field.enum_type.is_closed else known | INT32
    return SCALARS[field.type]


@st.composite
def fill(draw, message, depth):
    """Fill a message in place; required fields always, the others half the time."""
    name = message.DESCRIPTOR.full_name
    if name == "google.protobuf.Timestamp":
        message.seconds = draw(st.integers(-62_135_596_800, 253_402_300_799))
        message.nanos = draw(st.sampled_from([0, 1, 1_000, 120_000_000, 999_999_999]))
    elif name == "google.protobuf.Duration":
        sign = draw(st.sampled_from([-1, 1]))
        message.seconds = sign * draw(st.integers(0, 315_576_000_000))
        message.nanos = sign * draw(st.sampled_from([0, 1, 1_000, 120_000_000, 999_999_999]))
    elif name == "google.protobuf.FieldMask":
        message.paths.extend(draw(st.lists(PATH, max_size=3)))
    elif name in {"google.protobuf.Struct", "google.protobuf.Value", "google.protobuf.ListValue"}:
        fill_dynamic(draw, message)
    elif name == "google.protobuf.Any":
        inner = draw(messages(draw(st.sampled_from(contents(message.DESCRIPTOR.file.pool))), depth - 1))
        message.type_url = f"type.googleapis.com/{inner.DESCRIPTOR.full_name}"
        message.value = inner.SerializeToString(deterministic=True)
    else:
        for field in message.DESCRIPTOR.fields:
            if field.is_required or draw(st.booleans()):
                fill_field(draw, message, field, depth)
        extensions = message.DESCRIPTOR.file.pool.FindAllExtensions(message.DESCRIPTOR)
        for extension in sorted(extensions, key=lambda extension: extension.number):
            if draw(st.booleans()):
                fill_extension(draw, message, extension, depth)
    return message


CONTENTS = [
    "codec.three.Scalars",
    "codec.three.Tree",
    "codec.two.Old",
    "google.protobuf.Timestamp",
    "google.protobuf.Int64Value",
    "google.protobuf.Value",
    "google.protobuf.Empty",
    "fuzz.M1",
]


def contents(pool):
    """The message types put into an Any, as far as a pool knows them."""
    found = []
    for name in CONTENTS:
        with contextlib.suppress(KeyError):
            found.append(pool.FindMessageTypeByName(name))
    return found


def fill_dynamic(draw, message):
    name = message.DESCRIPTOR.name
    if name == "Struct":
        message.update(draw(st.dictionaries(TEXT, JSON, max_size=3)))
    elif name == "ListValue":
        message.extend(draw(st.lists(JSON, max_size=3)))
    else:
        holder = GetMessageClass(message.DESCRIPTOR.file.message_types_by_name["ListValue"])()
        holder.append(draw(JSON))
        message.CopyFrom(holder.values[0])


def fill_field(draw, message, field, depth):
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        key, value = (field.message_type.fields_by_name[name] for name in ("key", "value"))
        target = getattr(message, field.name)
        for name in draw(st.lists(scalar(key), max_size=2)):
            if value.message_type is None:
                target[name] = draw(scalar(value))
            elif depth > 0:
                draw(fill(target[name], depth - 1))
    elif field.message_type is not None:
        if depth <= 0 and not field.is_required:
            return
        target = getattr(message, field.name)
        if field.is_repeated:
            for _ in range(draw(st.integers(0, 2))):
                draw(fill(target.add(), depth - 1))
        else:
            target.SetInParent()
            draw(fill(target, depth - 1))
    elif field.is_repeated:
        getattr(message, field.name).extend(draw(st.lists(scalar(field), max_size=3)))
    else:
        setattr(message, field.name, draw(scalar(field)))


def fill_extension(draw, message, field, depth):
    target = message.Extensions[field] if field.is_repeated or field.message_type is not None else None
    if field.message_type is None and field.is_repeated:
        target.extend(draw(st.lists(scalar(field), min_size=1, max_size=3)))
    elif field.message_type is None:
        message.Extensions[field] = draw(scalar(field))
    elif field.is_repeated:
        draw(fill(target.add(), depth - 1))
    else:
        target.SetInParent()
        draw(fill(target, depth - 1))


def messages(descriptor, depth=2):
    """Random messages of a type."""
    return st.builds(GetMessageClass(descriptor)).flatmap(lambda message: fill(message, depth))
