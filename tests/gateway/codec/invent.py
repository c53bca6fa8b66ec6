"""Random schemas: message types of any syntax with fields of every kind, in a pool of their own."""

from google.protobuf import descriptor_pool
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    Edition,
    EnumDescriptorProto,
    FeatureSet,
    FieldDescriptorProto,
    FileDescriptorProto,
)
from hypothesis import strategies as st

from tests.gateway.codec.schema import WELL_KNOWN

F = FieldDescriptorProto
SCALARS = [
    F.TYPE_DOUBLE, F.TYPE_FLOAT, F.TYPE_INT32, F.TYPE_SINT32, F.TYPE_SFIXED32, F.TYPE_INT64, F.TYPE_SINT64,
    F.TYPE_SFIXED64, F.TYPE_UINT32, F.TYPE_FIXED32, F.TYPE_UINT64, F.TYPE_FIXED64, F.TYPE_BOOL, F.TYPE_STRING,
    F.TYPE_BYTES,
]  # fmt: skip
KEYS = [kind for kind in SCALARS if kind not in {F.TYPE_DOUBLE, F.TYPE_FLOAT, F.TYPE_BYTES}]
DEFAULTS = {
    F.TYPE_DOUBLE: "-1.5", F.TYPE_FLOAT: "inf", F.TYPE_INT32: "-7", F.TYPE_INT64: "7", F.TYPE_BOOL: "true",
    F.TYPE_STRING: "none", F.TYPE_BYTES: "\\001", F.TYPE_UINT64: "18446744073709551615",
}  # fmt: skip
KNOWN = [
    "Timestamp", "Duration", "FieldMask", "Struct", "Value", "ListValue", "Any", "Empty", "Int64Value", "BoolValue",
    "BytesValue", "FloatValue", "StringValue",
]  # fmt: skip
STEMS = ["a", "some_name", "camelCase", "UPPER", "_low", "x_1_y", "class", "m", "d", "__init__", "trailing_"]
MESSAGES = ["M0", "M1", "M2"]
DELIMITED = FeatureSet(message_encoding=FeatureSet.DELIMITED)


@st.composite
def schemas(draw):
    """The first of some message types that refer to each other."""
    syntax = draw(st.sampled_from(["proto2", "proto3", "editions"]))
    file = FileDescriptorProto(name="fuzz.proto", package="fuzz", syntax=syntax)
    if syntax == "editions":
        file.edition = Edition.EDITION_2023
    file.dependency.extend(known.name for known in WELL_KNOWN)
    for name in ("Open", "Other"):
        file.enum_type.append(draw(enums(name, syntax)))
    for name in MESSAGES:
        file.message_type.append(draw(message_types(name, syntax)))
    if syntax != "proto3":
        file.message_type[0].extension_range.add(start=1000, end=1100)
        for number in range(draw(st.integers(0, 3))):
            extension = draw(fields(f"extension_{number}", 1000 + number, "extension"))
            extension.extendee = ".fuzz.M0"
            file.extension.append(extension)
    pool = descriptor_pool.DescriptorPool()
    for known in WELL_KNOWN:
        pool.Add(known)
    pool.Add(file)
    return pool.FindMessageTypeByName("fuzz.M0")


@st.composite
def enums(draw, name, syntax):
    enum = EnumDescriptorProto(name=name)
    numbers = [0, *draw(st.lists(st.integers(-(2**31), 2**31 - 1) | st.integers(-2, 2), max_size=4))]
    for index, number in enumerate(numbers):
        enum.value.add(name=f"{name.upper()}_{index}", number=number)
    if len(set(numbers)) < len(numbers):
        enum.options.allow_alias = True
    if syntax == "editions" and draw(st.booleans()):
        enum.options.features.enum_type = FeatureSet.CLOSED
    return enum


@st.composite
def message_types(draw, name, syntax):
    message = DescriptorProto(name=name)
    alone = []
    choices = draw(st.integers(0, 2))
    for number in range(1, draw(st.integers(1, 9)) + 1):
        stem = f"{draw(st.sampled_from(STEMS))}{number}"
        key = draw(st.sampled_from([None] * 50 + KEYS))
        if key is not None:
            message.field.append(draw(maps(message, stem, number, key)))
            continue
        field = draw(fields(stem, number, syntax))
        message.field.append(field)
        field = message.field[-1]
        if field.label == F.LABEL_OPTIONAL and not field.options.features.ByteSize():
            place = draw(st.integers(-2, choices - 1))
            if place >= 0 and not field.default_value:
                field.oneof_index = place
            elif place == -1 and syntax == "proto3":
                alone.append(field)
    # A oneof must have fields, and the ones of `optional` come last.
    used = sorted({field.oneof_index for field in message.field if field.HasField("oneof_index")})
    for field in message.field:
        if field.HasField("oneof_index"):
            field.oneof_index = used.index(field.oneof_index)
    for index in used:
        message.oneof_decl.add(name=f"choice_{index}")
    for field in alone:
        field.proto3_optional = True
        field.oneof_index = len(message.oneof_decl)
        message.oneof_decl.add(name=f"_{field.name}")
    return message


@st.composite
def fields(draw, name, number, syntax):
    label = draw(st.sampled_from([F.LABEL_OPTIONAL, F.LABEL_OPTIONAL, F.LABEL_REPEATED]))
    field = F(name=name, number=number, label=label)
    kind = draw(st.sampled_from(["scalar", "scalar", "enum", "message", "known"]))
    if kind == "scalar":
        field.type = draw(st.sampled_from(SCALARS))
    elif kind == "enum":
        field.type, field.type_name = F.TYPE_ENUM, draw(st.sampled_from([".fuzz.Open", ".fuzz.Other"]))
    elif kind == "message":
        field.type, field.type_name = F.TYPE_MESSAGE, f".fuzz.{draw(st.sampled_from(MESSAGES))}"
    else:
        field.type, field.type_name = F.TYPE_MESSAGE, f".google.protobuf.{draw(st.sampled_from(KNOWN))}"
    if syntax != "extension" and draw(st.integers(0, 5)) == 0:
        field.json_name = draw(st.sampled_from(["@{}", "é {}", "a.b[{}]", "[x{}]", 'q"{}'])).format(number)
    if label == F.LABEL_OPTIONAL:
        draw(narrow(field, kind, syntax))
    return field


@st.composite
def narrow(draw, field, kind, syntax):
    """Give a singular field what its syntax may say of it: required, a default, a group, implicit presence."""
    what = draw(st.integers(0, 3))
    if syntax == "proto2":
        if what == 0 and kind == "scalar":
            field.label = F.LABEL_REQUIRED
        elif what == 1 and kind == "scalar" and field.type in DEFAULTS:
            field.default_value = DEFAULTS[field.type]
        elif what == 1 and kind == "message":
            field.type = F.TYPE_GROUP
    elif syntax == "editions":
        if what == 0 and kind == "scalar":
            field.options.features.field_presence = FeatureSet.LEGACY_REQUIRED
        elif what == 1 and kind == "scalar":
            field.options.features.field_presence = FeatureSet.IMPLICIT
        elif what == 1 and kind == "message":
            field.options.features.CopyFrom(DELIMITED)


@st.composite
def maps(draw, message, name, number, key):
    """A map, and the entry that protobuf declares for it inside the message."""
    entry = message.nested_type.add(name=f"{name.title().replace('_', '')}Entry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, label=F.LABEL_OPTIONAL, type=key)
    value = draw(fields("value", 2, "map").filter(lambda field: field.label == F.LABEL_OPTIONAL))
    value.ClearField("json_name")
    entry.field.append(value)
    return F(
        name=name,
        number=number,
        label=F.LABEL_REPEATED,
        type=F.TYPE_MESSAGE,
        type_name=f".fuzz.{message.name}.{entry.name}",
    )
