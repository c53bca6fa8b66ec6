"""From folders of protos to importable Python and a descriptor set."""

from mesh.generate.run import GenerateError, Report, Request, generate

__all__ = ["GenerateError", "Report", "Request", "generate"]
