"""Queries whose SQL is composed once.

Django composes the SQL of a query anew each time that it is asked. That takes some 0.4 ms of processor time, where SQLite needs a
twentieth of a millisecond to answer: a change asks thirty queries on its way, always the same. Those are composed at the first time, and
asked with other values from then on:

    subnets_of = composed(lambda network_id: Subnet.objects.filter(network=network_id))
    subnets_of(network.pk)  # a list of rows

The function makes the query set, of stand-ins for the values: text, numbers, and lists of them for ``__in``. (By the key of what is
related, ``network__pk__in``: of others Django makes text.) What ``select_related``, ``only``, ``values_list``, and ``Prefetch`` with a
``to_attr`` ask for is in the rows as ever. For much that is written down once and read many times, and nothing else: how a list is
filtered and sorted by a person, Django composes.

``insert`` and ``update`` write rows likewise. They send no signals, of which we have none.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any, Generic, TypeVar

from django.db import DatabaseError, connection
from django.db.models import Expression, JSONField, Model, Prefetch, QuerySet
from django.db.models import fields as kinds
from django.db.models.base import ModelState
from django.db.models.query import (
    FlatValuesListIterable,
    ModelIterable,
    NamedValuesListIterable,
    ValuesListIterable,
    get_related_populators,
)
from django.db.models.utils import create_namedtuple_class

R = TypeVar("R")
M = TypeVar("M", bound=Model)
MOST_IN_LIST = 16
"""Lists of each length have an SQL of their own. Longer ones are composed by Django: there the rows are what costs."""

_Shape = tuple[int | None, ...]


class _Given(Expression):
    """Stands for a value that is given when the query is asked: that of an argument, or an item of one that is a list."""

    def __init__(self, argument: int, item: int | None = None) -> None:
        super().__init__()
        self.argument = argument
        self.item = item

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        return "%s", [self]

    def of(self, arguments: Sequence[Any]) -> Any:
        value = arguments[self.argument]
        return value if self.item is None else value[self.item]


class Composed(Generic[R]):
    """A query that is asked by calling it with its values: the list of its rows."""

    def __init__(self, build: Callable[..., QuerySet[Any, R]], kept: bool = False) -> None:
        self._build = build
        self._kept = kept
        self._made: dict[tuple[str, _Shape], _Statement[R]] = {}

    def __call__(self, *values: Any) -> list[R]:
        shape = tuple(len(value) if isinstance(value, list | tuple) else None for value in values)
        if 0 in shape:
            return []
        if any(length is not None and length > MOST_IN_LIST for length in shape):
            return list(self._build(*values))
        made = self._made.get((connection.vendor, shape))
        if made is None:
            query_set = self._build(*map(_stand_in, range(99), shape))
            made = self._made[connection.vendor, shape] = _Statement(query_set, self._kept)
        return made.rows(values)

    def first(self, *values: Any) -> R | None:
        """The first row (the query says of how many), or None."""
        return next(iter(self(*values)), None)


def composed(build: Callable[..., QuerySet[Any, R]], *, kept: bool = False) -> Composed[R]:
    """The query that *build* makes of its values, composed when it is first asked.

    *kept*: what the database gives as it gave it the last time is the very same row again. For those who change nothing in a row, and
    find out by that what is news.
    """
    return Composed(build, kept)


def _stand_in(argument: int, length: int | None) -> Any:
    return _Given(argument) if length is None else tuple(_Given(argument, item) for item in range(length))


class _Statement(Generic[R]):
    """The SQL of one shape of a query, for one kind of database, and how its rows are read."""

    def __init__(self, query_set: QuerySet[Any, R], kept: bool = False) -> None:
        compiler = query_set.query.get_compiler(connection=connection)
        self._sql, self._parameters = compiler.as_sql()
        columns = [column for column, _, _ in compiler.select[: compiler.col_count]]
        self._converters = [
            (place, _conversion(convert, expression))
            for place, (converters, expression) in compiler.get_converters(columns).items()
            for convert in converters
        ]
        self._read = _READERS[query_set._iterable_class](query_set, compiler)
        self._related = [_Related(query_set.model, lookup) for lookup in query_set._prefetch_related_lookups]
        self._kept: dict[tuple[Any, ...], R] | None = {} if kept else None

    def rows(self, values: Sequence[Any]) -> list[R]:
        parameters = [item.of(values) if isinstance(item, _Given) else item for item in self._parameters]
        with connection.cursor() as cursor:
            cursor.execute(self._sql, parameters)
            raw = cursor.fetchall()
        if self._kept is not None:
            return self._again(raw, self._kept)
        rows = self._made_of(raw)
        for related in self._related:
            related.fetch_for(rows)
        return rows

    def _made_of(self, raw: list[Any]) -> list[R]:
        return self._read([self._converted(row) for row in raw] if self._converters else raw)

    def _again(self, raw: list[Any], before: dict[tuple[Any, ...], R]) -> list[R]:
        news = [row for row in raw if row not in before]
        now = dict(zip(news, self._made_of(news), strict=True))
        rows = [now.get(row) or before[row] for row in raw]
        self._kept = dict(zip(raw, rows, strict=True))
        return rows

    def _converted(self, row: Sequence[Any]) -> list[Any]:
        values = list(row)
        for place, convert in self._converters:
            values[place] = convert(values[place])
        return values


def _conversion(convert: Callable[..., Any], expression: Any) -> Callable[[Any], Any]:
    """What *convert* makes of a value of the database. Most of them are JSON, most of that short: read without Django's questions."""
    if getattr(convert, "__func__", None) is JSONField.from_db_value and expression.target.decoder is None:
        return _from_json
    return lambda value: convert(value, expression, connection)


_read_json = json.JSONDecoder().raw_decode


def _from_json(text: str | None) -> Any:
    return None if text is None else _read_json(text)[0]


def _reads_models(_: QuerySet[Any], compiler: Any) -> Callable[[list[Any]], list[Any]]:
    """As ``ModelIterable`` does, with what it finds out anew each time found out once."""
    info = compiler.klass_info
    first, end = info["select_fields"][0], info["select_fields"][-1] + 1
    names = [column.target.attname for column, _, _ in compiler.select[first:end]]
    related = get_related_populators(info, compiler.select, connection.alias)
    model = info["model"]

    def read(rows: list[Any]) -> list[Any]:
        found = []
        for row in rows:
            made = _born(model, names, row[first:end])
            for populator in related:
                _populate(populator, row, made)
            found.append(made)
        return found

    return read


def _born(model: type[M], names: Sequence[str], values: Sequence[Any]) -> M:
    """A row as the database has it. What ``Model.from_db`` does, a field after the other, is for models and signals that we have not."""
    row = model.__new__(model)
    row.__dict__.update(zip(names, values, strict=True))
    row._state = ModelState()
    row._state.adding, row._state.db = False, connection.alias
    return row


def _populate(populator: Any, row: Sequence[Any], made: Model) -> None:
    """``RelatedPopulator.populate``, by :func:`_born`."""
    values = row[populator.cols_start : populator.cols_end]
    other = None
    if values[populator.pk_idx] is not None:
        other = _born(populator.model_cls, populator.init_list, values)
        for further in populator.related_populators:
            _populate(further, row, other)
        populator.remote_setter(other, made)
    populator.local_setter(made, other)


def _reads_named(query_set: QuerySet[Any], _: Any) -> Callable[[list[Any]], list[Any]]:
    make = create_namedtuple_class(*query_set._fields)._make
    return lambda rows: [make(row) for row in rows]


_READERS: dict[Any, Callable[[QuerySet[Any], Any], Callable[[list[Any]], list[Any]]]] = {
    ModelIterable: _reads_models,
    NamedValuesListIterable: _reads_named,
    ValuesListIterable: lambda *_: lambda rows: [tuple(row) for row in rows],
    FlatValuesListIterable: lambda *_: lambda rows: [row[0] for row in rows],
}


class _Related:
    """The rows that belong to others, put into a list of each: what a ``Prefetch`` with a ``to_attr`` asks for."""

    def __init__(self, model: type[Model], lookup: Prefetch[Any]) -> None:
        *self._way, _ = lookup.prefetch_through.split("__")
        for name in self._way:
            model = model._meta.get_field(name).related_model
        name = lookup.prefetch_through.rpartition("__")[2]
        key = self._key = model._meta.get_field(name).field
        children = lookup.queryset
        self._attribute = lookup.to_attr
        self._children = composed(lambda ids: children.filter(**{f"{key.name}__pk__in": ids}))

    def fetch_for(self, rows: Sequence[Any]) -> None:
        for name in self._way:
            rows = [getattr(row, name) for row in rows]
        children = defaultdict(list)
        for child in self._children(list({row.pk for row in rows})):
            children[getattr(child, self._key.attname)].append(child)
        for row in rows:
            setattr(row, self._attribute, children[row.pk])
            for child in children[row.pk]:
                self._key.set_cached_value(child, row)


def insert(row: M) -> M:
    """Write a new row: what ``save(force_insert=True)`` does."""
    sql, writers, numbered = _insertion(type(row), row.pk is None)
    with connection.cursor() as cursor:
        cursor.execute(sql, [write(row, True) for write in writers])
        if numbered:
            (row.pk,) = cursor.fetchone()
    row._state.adding, row._state.db = False, connection.alias
    return row


def insert_many(rows: Iterable[Model]) -> None:
    """Write new rows of one model, whose primary keys are known."""
    made = list(rows)
    if made:
        sql, writers, _ = _insertion(type(made[0]), False)
        with connection.cursor() as cursor:
            cursor.executemany(sql, [[write(row, True) for write in writers] for row in made])


def update(row: Model, *names: str) -> None:
    """Write these fields of a row: what ``save(update_fields=names)`` does."""
    if not update_if(row, *names):
        raise DatabaseError(f"{row!r} is gone: nothing of it was written.")


def update_if(row: Model, *names: str, **still: Any) -> bool:
    """Write these fields of a row if it is there and is *still* so; whether it was."""
    sql, writers = _change(type(row), names, tuple(still))
    with connection.cursor() as cursor:
        cursor.execute(sql, [*(write(row, False) for write in writers), row.pk, *still.values()])
        return bool(cursor.rowcount == 1)


_Writer = Callable[[Model, bool], Any]
"""Gives what a statement takes of a row for one field; whether the row is new."""


@cache
def _insertion(model: type[Model], numbered: bool) -> tuple[str, list[_Writer], bool]:
    """The statement, what it takes, and whether the database gives the primary key."""
    fields = [field for field in model._meta.local_concrete_fields if not (numbered and field.primary_key)]
    columns, key = ", ".join(_quoted(field.column) for field in fields), model._meta.pk.column
    places = ", ".join(["%s"] * len(fields))
    end = f" RETURNING {_quoted(key)}" if numbered else ""
    sql = f"INSERT INTO {_quoted(model._meta.db_table)} ({columns}) VALUES ({places}){end}"  # noqa: S608
    return sql, [_writer(field) for field in fields], numbered


@cache
def _change(model: type[Model], names: tuple[str, ...], still: tuple[str, ...]) -> tuple[str, list[_Writer]]:
    meta = model._meta
    fields = [meta.get_field(name) for name in names]
    values = ", ".join(f"{_quoted(field.column)} = %s" for field in fields)
    conditions = (meta.pk.column, *(meta.get_field(name).column for name in still))
    where = " AND ".join(f"{_quoted(column)} = %s" for column in conditions)
    return f"UPDATE {_quoted(meta.db_table)} SET {values} WHERE {where}", [_writer(field) for field in fields]  # noqa: S608


_PLAIN = {
    kinds.CharField: str,
    kinds.TextField: str,
    kinds.BooleanField: bool,
    kinds.IntegerField: int,
    kinds.BigIntegerField: int,
    kinds.PositiveIntegerField: int,
    kinds.PositiveSmallIntegerField: int,
}
"""Kinds of fields whose values go to the database as they are, where they are of this type."""


def _writer(field: Any) -> _Writer:
    if type(field).pre_save is not kinds.Field.pre_save:  # it fills in the time
        return lambda row, adds: field.get_db_prep_save(field.pre_save(row, adds), connection)
    name, plain = field.attname, _PLAIN.get(type(field))

    def write(row: Model, _: bool) -> Any:
        value = getattr(row, name)
        return value if plain is type(value) else field.get_db_prep_save(value, connection)

    return write


def _quoted(name: str) -> str:
    return f'"{name}"'
