from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

import pytest

from airflow_provider_bigin.api.errors import BiginConfigurationError
from airflow_provider_bigin.hooks.paths import to_path


def test_an_airflow_whose_object_storage_does_not_work_is_told(monkeypatch):
    def refuse(url):
        raise TypeError("detected protocol s3 which is incompatible with ObjectStoragePath.")

    module = import_module("airflow.sdk" if find_spec("airflow.sdk") else "airflow.io.path")
    monkeypatch.setattr(module, "ObjectStoragePath", refuse)
    with pytest.raises(
        BiginConfigurationError, match=r"s3://bucket/t.txt.*protocol s3.*universal-pathlib<0\.3"
    ):
        to_path("s3://bucket/t.txt", "files")
