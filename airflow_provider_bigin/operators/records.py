"""The operator that reads records."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from airflow_provider_bigin.api.errors import BiginConfigurationError
from airflow_provider_bigin.api.text import quoted
from airflow_provider_bigin.operators.base import BiginOperator, ends_try

if TYPE_CHECKING:
    import os

    from airflow.sdk import Context


class BiginRecordsOperator(BiginOperator):
    """
    Read the records of a module: all of them, or those that match criteria.

    .. seealso::
        - https://www.bigin.com/developer/docs/apis/v2/get-records.html
        - https://www.bigin.com/developer/docs/apis/v2/search-records.html

    .. code-block:: python

        contacts = BiginRecordsOperator(
            task_id="contacts",
            fields=["First_Name", "Email"],
            criteria="(City:equals:Chennai)",
        )

    :param fields: API names of the fields to read, at most 50; ``id`` is always included. (templated)
    :param module: API name of the module, such as ``Contacts``. (templated)
    :param criteria: such as ``((City:equals:Chennai)and(Email:not_equal:null))``; all records if not given.
        (templated)
    :param limit: maximum number of records that go to XCom; more are an error, since a partial list is
        useless.
    :param output_path: path or object storage URL, ending in ``.csv`` or ``.jsonl``, of a file to write the
        records to instead, without a limit. (templated)
    :param bigin_conn_id: id of the connection. (templated)
    :return: the records, or with ``output_path``, its ``path`` and the ``count``.
    """

    template_fields: Collection[str] = ("fields", "module", "criteria", "output_path", "bigin_conn_id")

    def __init__(
        self,
        *,
        fields: Sequence[str],
        module: str = "Contacts",
        criteria: str | None = None,
        limit: int = 2000,
        output_path: str | os.PathLike[str] | None = None,
        bigin_conn_id: str = "bigin_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.fields = fields
        self.module = module
        self.criteria = criteria
        self.limit = limit
        self.output_path = output_path
        self.bigin_conn_id = bigin_conn_id

    @ends_try
    def execute(self, context: Context) -> list[dict[str, Any]] | dict[str, Any]:
        """Read the records."""
        self._check_arguments()
        return self._write() if self.output_path else self._read()

    def _check_arguments(self) -> None:
        is_list = isinstance(self.fields, Collection) and not isinstance(self.fields, str)
        if not is_list or not all(isinstance(name, str) for name in self.fields):
            raise BiginConfigurationError(f"fields: {quoted(self.fields)} must be a list of API names")
        if not isinstance(self.limit, int):
            raise BiginConfigurationError(f"limit: {self.limit!r} must be a number")

    def _write(self) -> dict[str, Any]:
        from airflow_provider_bigin.utils.tables import to_table_path, write_table

        path = to_table_path(self.output_path, "output_path")
        columns = ["id", *(name for name in self.fields if name != "id")]
        count = write_table(path, columns, self._records())
        self.log.info("Wrote %d records of %s to %s.", count, self.module, path)
        return {"path": str(path), "count": count}

    def _read(self) -> list[dict[str, Any]]:
        records = list(islice(self._records(), self.limit + 1))
        if len(records) > self.limit:
            raise BiginConfigurationError(
                f"limit: {self.module} has more than {self.limit} such records; narrow the criteria, raise"
                " the limit, or write them to output_path"
            )
        self.log.info("Read %d records of %s.", len(records), self.module)
        return records

    def _records(self) -> Iterator[dict[str, Any]]:
        if self.criteria:
            return self.hook.search_records(self.module, criteria=self.criteria, fields=",".join(self.fields))
        return self.hook.get_records(self.module, fields=self.fields)
