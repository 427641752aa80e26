"""Print the connection form as the user interface gets it."""

import json

try:
    from airflow.api_fastapi.core_api.services.ui.connections import HookMetaService
except ImportError:  # Airflow 2
    from airflow.providers_manager import ProvidersManager

    manager = ProvidersManager()
    fields = {
        name.removeprefix("extra__bigin__"): info
        for name, info in manager.connection_form_widgets.items()
        if name.startswith("extra__bigin__")
    }
    form = {
        "label": manager.hooks["bigin"].hook_name,
        "relabeled": manager.field_behaviours["bigin"]["relabeling"],
        "fields": sorted(fields),
        "secret": sorted(name for name, info in fields.items() if info.is_sensitive),
    }
else:
    bigin = next(hook for hook in HookMetaService.hook_meta_data() if hook.connection_type == "bigin")
    standard = bigin.standard_fields.model_dump() if bigin.standard_fields else {}
    fields = bigin.extra_fields or {}
    form = {
        "label": bigin.hook_name,
        "relabeled": {name: field["title"] for name, field in standard.items() if field and field["title"]},
        "fields": sorted(fields),
        "secret": sorted(
            name for name, field in fields.items() if field["schema"].get("format") == "password"
        ),
    }
print(json.dumps(form))
