"""The admin page of a table.

What lives here: the mixin and the class, permissions, saving, and what PostgreSQL refuses. What does not:
which columns are shown (``columns``), the form (``forms``), roles (``roles``), registration (``register``).

The mixin goes before any ModelAdmin, so that themes with a base class of their own can be used.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import psycopg
from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.contrib.admin.models import LogEntry
from django.contrib.admin.utils import quote
from django.core.exceptions import MultipleObjectsReturned, PermissionDenied, ValidationError
from django.db import DatabaseError, models, router, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from ..core.schema import Kind, Relation
from ..tables.build import ROW_ADDRESS
from ..tables.rowkey import EmptyKey
from ..tables.table import TableModel
from . import columns
from .forms import TableForm, refusal_text
from .paginator import EstimatedPaginator
from .roles import granted, role_scope, scoped
from .widgets import OVERRIDES

if TYPE_CHECKING:
    _Base = ModelAdmin[TableModel]
else:
    _Base = object

KINDS = {
    Kind.TABLE: _("table"),
    Kind.VIEW: _("view"),
    Kind.MATERIALIZED_VIEW: _("materialized view"),
    Kind.PARTITIONED: _("partitioned table"),
    Kind.FOREIGN: _("foreign table"),
}
WRITABLE = frozenset({Kind.TABLE, Kind.PARTITIONED, Kind.FOREIGN})


class TableAdminMixin(_Base):
    """Lists, searches and edits the rows of a table; views and tables without a key can be looked at.

    Every option a subclass sets wins over what is chosen here from the table's columns.
    """

    form = TableForm
    formfield_overrides: ClassVar[Any] = OVERRIDES
    paginator = EstimatedPaginator
    show_full_result_count = False
    view_on_site = False
    actions_selection_counter = True

    def __init__(self, model: type[TableModel], admin_site: Any) -> None:
        super().__init__(model, admin_site)
        self.relation: Relation = model.__relation__
        self._detailed = columns.detailed(model)
        self._computed = columns.computed(model)
        keys = [f for f in model._meta.concrete_fields if isinstance(f, models.ForeignKey)]
        chosen = {
            "list_display": columns.listed(model),
            "list_filter": columns.filters(model),
            "search_fields": columns.searched(model),
            "sortable_by": columns.sortable(model),
            "ordering": tuple(field.attname for field in model._meta.pk_fields),
            "autocomplete_fields": [f.name for f in keys if self._completes(f)],
            "raw_id_fields": [f.name for f in keys if not self._completes(f)],
            "list_display_links": () if self._addressable else None,
        }
        for option, value in chosen.items():
            if getattr(type(self), option) == getattr(ModelAdmin, option):
                setattr(self, option, value)

    def _completes(self, field: Any) -> bool:
        # Autocompletion runs outside the role's transaction, and would show what the role may not see.
        return bool(columns.searched(field.remote_field.model)) and not scoped()

    @property
    def _addressable(self) -> bool:
        """Whether one row can be opened: it has a key, or lies somewhere."""
        keyed = bool(self.relation.key) and not self.relation.kind.is_view
        pk = self.model._meta.pk
        return (keyed or pk.name == ROW_ADDRESS) and not isinstance(pk, models.BinaryField)

    @property
    def _writable(self) -> bool:
        return self._addressable and bool(self.relation.key) and self.relation.kind in WRITABLE

    # Permissions: Django's, and the relation's kind, and the role's grants

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Django's permission to view or change, and SELECT."""
        allowed = super().has_view_permission(request, obj)
        return allowed and granted(request, self.relation.qualified, "SELECT")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Django's permission to add, and INSERT into a table with a key."""
        allowed = self._writable and self.relation.insertable and super().has_add_permission(request)
        return allowed and granted(request, self.relation.qualified, "INSERT")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Django's permission to change, and UPDATE of a table with a key."""
        allowed = self._writable and self.relation.updatable and super().has_change_permission(request, obj)
        return allowed and granted(request, self.relation.qualified, "UPDATE")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Django's permission to delete, and DELETE from a table with a key."""
        allowed = self._writable and self.relation.deletable and super().has_delete_permission(request, obj)
        return allowed and granted(request, self.relation.qualified, "DELETE")

    # Pages, each in the role's transaction

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """The list and its actions; what PostgreSQL refuses is said above it."""
        context = {**self._about(), **(extra_context or {})}

        def back(refusal: DatabaseError) -> Any:
            self.message_user(request, refusal_text(refusal), messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())

        return self._page(
            request, lambda: super(TableAdminMixin, self).changelist_view(request, context), back
        )

    def changeform_view(
        self, request: HttpRequest, object_id: Any = None, form_url: str = "", extra_context: Any = None
    ) -> Any:
        """The form; what PostgreSQL refuses is an error in it, and what was typed is still there."""
        object_id = _from_url(object_id)
        context = {**self._about(), **(extra_context or {})}

        def view() -> Any:
            return super(TableAdminMixin, self).changeform_view(request, object_id, form_url, context)

        def again(refusal: DatabaseError) -> Any:
            request._aiodata_refusal = refusal  # type: ignore[attr-defined]
            return view()

        return self._page(request, view, again)

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> Any:
        """The confirmation; what PostgreSQL refuses is said on the row's page."""

        key = _from_url(object_id)

        def back(refusal: DatabaseError) -> Any:
            self.message_user(request, refusal_text(refusal), messages.ERROR)
            return HttpResponseRedirect(self._change_url(object_id))

        return self._page(
            request, lambda: super(TableAdminMixin, self).delete_view(request, key, extra_context), back
        )

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> Any:
        """What was done to the row from here."""
        key = _from_url(object_id)
        return self._page(
            request,
            lambda: super(TableAdminMixin, self).history_view(request, key, extra_context),
            None,
        )

    def _about(self) -> dict[str, Any]:
        return {
            "relation": self.relation,
            "relation_kind": KINDS[self.relation.kind],
            "relation_writable": self._writable,
        }

    def _page(
        self, request: HttpRequest, view: Callable[[], Any], refused: Callable[[DatabaseError], Any] | None
    ) -> Any:
        """The page made and rendered under the role; if a write is refused, what ``refused`` makes of it."""
        try:
            return self._scoped(request, view)
        except DatabaseError as error:
            if request.method != "POST" or refused is None:
                if isinstance(error.__cause__, psycopg.errors.InsufficientPrivilege):
                    raise PermissionDenied from error
                raise
            return self._scoped(request, partial(refused, error))

    def _scoped(self, request: HttpRequest, view: Callable[[], Any]) -> HttpResponse:
        # The log's database around the rows': no entry may stay of what failed, were it at the commit.
        log, rows = router.db_for_write(LogEntry), router.db_for_write(self.model)
        with transaction.atomic(using=log), transaction.atomic(using=rows), role_scope(request):
            response: HttpResponse = view()
            return response.render() if isinstance(response, TemplateResponse) else response

    def _change_url(self, object_id: str) -> str:
        name = f"{self.admin_site.name}:{self.opts.app_label}_{self.opts.model_name}_change"
        return reverse(name, args=(object_id,))

    def response_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        """As ModelAdmin; going on editing goes on at the row's key, which may be a new one."""
        if "_continue" in request.POST:
            request.path = self._change_url(quote(obj.pk))
        return super().response_change(request, obj)

    # Rows: reading one, its form, writing it

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """The row of a key; None where there is none, or where an address is no key (partitions)."""
        try:
            return super().get_object(request, object_id, from_field)
        except (MultipleObjectsReturned, DatabaseError) as error:
            # Text such as a key "x" for inet is refused by PostgreSQL instead of a field.
            if isinstance(error, DatabaseError) and not isinstance(error.__cause__, psycopg.DataError):
                raise
            return None

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """The form, with what PostgreSQL refused at the first attempt."""
        form = super().get_form(request, obj, change=change, **kwargs)
        return type(form.__name__, (form,), {"refusal": getattr(request, "_aiodata_refusal", None)})

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """All columns; in the form of a new row those that can be written."""
        if self.fields or self.fieldsets:
            return super().get_fields(request, obj)
        if obj is not None and not self.has_change_permission(request, obj):
            return self._detailed
        editable = columns.editable(self.model)
        return editable if obj is None else [*self._computed, *editable]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """What PostgreSQL writes itself."""
        own = super().get_readonly_fields(request, obj)
        return own or (() if obj is None else self._computed)

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """The field, with the column's default as initial value, or as a hint where it is computed."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        column = self.relation.columns.get(db_field.verbose_name)
        if field is None or column is None or column.default is None:
            return field
        literal = columns.literal_default(column)
        try:
            if literal is not None:
                field.initial = db_field.to_python(literal)
                return field
        except ValidationError:
            pass  # PostgreSQL reads it as something that the form does not
        field.widget.attrs.setdefault("placeholder", column.default)
        return field

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """An INSERT that never overwrites, or one UPDATE of what changed, the key included."""
        if not change:
            obj.save(force_insert=True)
            return
        names = {f.name: f for f in self.model._meta.concrete_fields}
        changed = [names[name] for name in form.changed_data if name in names]
        if any(field in self.model._meta.pk_fields for field in changed):
            self._move(obj, form.key_before, changed)
        elif changed:
            obj.save(force_update=True, update_fields=[field.name for field in changed])

    def _move(self, obj: Any, key_before: Any, changed: list[Any]) -> None:
        """Change a row's key. Django's own save would insert a second row and leave the first."""
        rows = self.model._base_manager.filter(pk=key_before)
        if not rows.update(**{field.name: getattr(obj, field.attname) for field in changed}):
            raise DatabaseError(_("The row is not there any more."))


def _from_url(object_id: Any) -> Any:
    """A key as the admin's own views take it."""
    return "" if object_id == EmptyKey.in_url else object_id


class TableAdmin(TableAdminMixin, ModelAdmin):  # type: ignore[type-arg]
    """The admin class of built models that have none of their own."""
