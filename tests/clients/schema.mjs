// The service as its descriptor set describes it: no code is generated, so nothing of it can be stale.
import { createFileRegistry, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";

export function echoService(bytes) {
  const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, bytes));
  return registry.getService("echo.v1.EchoService");
}
