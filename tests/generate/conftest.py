import pytest

from tests.generate.project import CATALOG, TYPES, write


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write("protos/catalog/v1/catalog.proto", CATALOG)
    write("protos/catalog/v1/types.proto", TYPES)
    return tmp_path
