"""Uploaded files: attachments, and images in the text of mails."""

from __future__ import annotations

import secrets
import sqlite3
from urllib.parse import quote

from fastapi import APIRouter, Request, Response
from starlette.datastructures import UploadFile

from airflow_provider_bigin.sandbox.answers import ApiError, BiginResponse, missing_parameter, no_content
from airflow_provider_bigin.sandbox.auth import authorize
from airflow_provider_bigin.sandbox.state import SandboxOfRequest
from airflow_provider_bigin.sandbox.store import Store

router = APIRouter(prefix="/bigin/v2/files")

FILES = 10
FILE_BYTES = 20 * 1024 * 1024

_INSERT = {
    None: "INSERT INTO file VALUES (?, ?, ?, ?)",
    "inline": "INSERT INTO image VALUES (?, ?, ?, ?)",
}


@router.post("")
async def upload(request: Request, sandbox: SandboxOfRequest) -> Response:
    """Store files from the multipart field ``file``; if one is too large, refuse them all."""
    authorize(request, sandbox, "ZohoBigin.Files.CREATE")
    kind = request.query_params.get("type")
    if kind not in _INSERT:
        raise ApiError(400, "INVALID_DATA", "invalid data", {"param_name": "type"})
    async with request.form() as form:
        files = [part for part in form.getlist("file") if isinstance(part, UploadFile)]
        _check(files)
        rows = [
            (secrets.token_hex(64), file.filename or "", file.content_type, await file.read())
            for file in files
        ]
    sandbox.store.insert_many(_INSERT[kind], rows)
    return BiginResponse(
        {
            "data": [
                {
                    "code": "SUCCESS",
                    "details": {"name": name, "id": file_id},
                    "message": f"{name} uploaded Succeessfully",
                    "status": "success",
                }
                for file_id, name, _, _ in rows
            ]
        }
    )


@router.get("")
async def download(request: Request, sandbox: SandboxOfRequest) -> Response:
    """Return a file."""
    authorize(request, sandbox, "ZohoBigin.Files.READ")
    file_id = request.query_params.get("id")
    if not file_id:
        raise missing_parameter("id")
    file = find(sandbox.store, file_id)
    return as_download(file) if file else no_content()


def find(store: Store, file_id: str) -> sqlite3.Row | None:
    """Return one file."""
    return store.row("SELECT name, content FROM file WHERE id = ?", file_id)


def as_download(file: sqlite3.Row) -> Response:
    """Return a response that makes browsers save the file, whatever its type."""
    disposition = f"attachment; filename*=UTF-8''{quote(file['name'], safe='')}"
    return Response(
        file["content"], media_type="application/x-download", headers={"content-disposition": disposition}
    )


def _check(files: list[UploadFile]) -> None:
    if not files or any(not file.size for file in files):
        raise ApiError(
            400,
            "failure_in_attachment_handling",
            "Problem in uploading attachment. kindly upload the file properly",
        )
    if len(files) > FILES:
        raise ApiError(
            400,
            "INVALID_REQUEST",
            "unable to process your request. please verify whether you have entered proper method name,"
            " parameter and parameter values.",
        )
    if any((file.size or 0) > FILE_BYTES for file in files):
        raise ApiError(
            415,
            "FILE_SIZE_MORE_THAN_ALLOWED_SIZE",
            "Please check if the size of the file is in the correct range",
        )
