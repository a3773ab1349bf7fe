//! Columns of the entities: one list for each, which every database uses.
//!
//! `columns!` turns a list into what SELECT and INSERT name, and into what is bound and decoded. All of them
//! are in the order of the list, so none can name one column and mean another. A new column is a line in the
//! list and a migration of each database. Statements that change some columns of a row name these.
//!
//! These tables have no list, because one statement derives all of their columns from other rows or computes
//! them, and no list could say how: `deleted_sessions` (from the sessions of a user), `queue` and `leases` (from
//! tasks), `event_log` (arrays of the events of one statement), `event_log_begin` and `sutazai_schema` (one row
//! each), and the text index `chunk_words`. A test fails for any other table without a list.
//!
//! - `lists`: the lists of the entities,
//! - `rows`: entities that only the stores know,
//! - `value`: values of columns; a new type of a field implements [`Value`] there,
//! - `checks`: tests that compare the lists with the tables, and what is written with what is read.

#[cfg(test)]
pub(crate) mod checks;
mod lists;
mod rows;
mod value;

pub(crate) use lists::*;
pub(crate) use rows::{AgentHeartbeat, ONLY_ROW, RelayPosition, Wait};
pub(crate) use value::{Cell, Kind, Pair, Value, unreadable};

use sutazai_core::domain::{FindingCounts, TaskSummary};
use sutazai_core::task_store::Record;

use crate::error::{StoreError, StoreResult};

/// Time at which a column is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    /// Insertion of the entity only.
    Once,
    /// Insertion of the entity, and each change of it.
    Again,
    /// Changes of the entity; an INSERT may compute the column, or leave it to the default of the table.
    Later,
}

/// Column of an entity.
pub(crate) struct Column<E> {
    /// Name in every database.
    pub(crate) name: &'static str,
    #[cfg_attr(not(feature = "postgres"), expect(dead_code))]
    pub(crate) kind: Kind,
    /// Cast to its enumeration in PostgreSQL, for instance `::task_status`.
    #[cfg_attr(not(feature = "postgres"), expect(dead_code))]
    pub(crate) cast: Option<&'static str>,
    pub(crate) written: Written,
    /// Returns the value to store.
    pub(crate) get: fn(&E) -> StoreResult<Cell<'_>>,
    /// Name of the field.
    #[cfg(test)]
    pub(crate) field: &'static str,
}

/// Entity that is stored as a row, implemented by `columns!`.
pub(crate) trait Entity: Sized + 'static {
    /// Columns of the entity, in the order in which they are selected, inserted, bound and read.
    const COLUMNS: &'static [Column<Self>];

    /// Reads the columns from the beginning of a row.
    fn read<R: Row>(row: &mut Reader<'_, R>) -> StoreResult<Self>;

    /// Returns the columns that are written when the entity changes.
    fn changes() -> impl Iterator<Item = &'static Column<Self>> {
        changes(Self::COLUMNS)
    }
}

/// Row of a database.
pub(crate) trait Row {
    /// Returns the content of a column by its place in the row.
    ///
    /// # Errors
    /// An error of ours if the content is not of this kind, otherwise one of the database.
    fn cell(&self, place: usize, kind: Kind) -> StoreResult<Cell<'_>>;
}

/// Reads the columns of a row one after the other.
pub(crate) struct Reader<'r, R> {
    row: &'r R,
    next: usize,
    /// Columns of JSON that the row does not have.
    missing: &'static [&'static str],
    /// Columns whose content cannot be read; `None` if such a column is an error.
    damaged: Option<Vec<&'static str>>,
}

impl<'r, R: Row> Reader<'r, R> {
    // Inlined with `Row::cell`, so that the kind, which is a constant here, leaves one of its branches: a page of tasks
    // has hundreds of columns.
    #[inline]
    fn cell(&mut self, kind: Kind) -> StoreResult<Cell<'r>> {
        self.next += 1;
        self.row.cell(self.next - 1, kind)
    }

    /// Reads the next column, unless the row does not have it.
    pub(crate) fn value<T: Value>(&mut self, name: &'static str) -> StoreResult<T> {
        if T::KIND == Kind::Json && self.missing.contains(&name) {
            return T::neutral();
        }
        let read = self.cell(T::KIND).and_then(T::from_cell);
        if let (Err(StoreError::Ours(_)), Some(damaged)) = (&read, &mut self.damaged) {
            damaged.push(name);
            return T::neutral();
        }
        read
    }

    /// Reads the next two columns.
    pub(crate) fn pair<T: Pair>(&mut self) -> StoreResult<T> {
        let [first, second] = T::KINDS;
        T::from_cells(self.cell(first)?, self.cell(second)?)
    }
}

/// Decodes a row that begins with the columns of an entity.
pub(crate) fn decode<E: Entity, R: Row>(row: &R) -> StoreResult<E> {
    E::read(&mut Reader { row, next: 0, missing: &[], damaged: None })
}

/// Decodes a row that begins with the columns of a task. Columns whose content cannot be read stay empty and are
/// named in `damaged`.
pub(crate) fn decode_task<R: Row>(row: &R) -> StoreResult<Record> {
    read_task(&mut Reader { row, next: 0, missing: &[], damaged: Some(Vec::new()) })
}

/// Decodes a row of the [columns of a summary](summary_columns), after which come the level in the result and the
/// severities of its findings, as a JSON array.
pub(crate) fn decode_summary<R: Row>(row: &R) -> StoreResult<TaskSummary> {
    let mut reader = Reader { row, next: 0, missing: TASK_CONTENT, damaged: Some(Vec::new()) };
    let task = read_task(&mut reader)?.task;
    let mut in_result = || match reader.cell(Kind::Text) {
        Ok(text) => Ok(text.text()),
        // A result may have something else than text there.
        Err(StoreError::Ours(_)) => Ok(None),
        Err(e) => Err(e),
    };
    let (level, severities) = (in_result()?, in_result()?);
    Ok(TaskSummary {
        task,
        priority_level: level.as_deref().and_then(TaskSummary::level),
        findings: severities.as_deref().and_then(counted),
    })
}

/// Counts findings by their severities, which are a JSON array.
fn counted(severities: &str) -> Option<FindingCounts> {
    let severities: Vec<serde_json::Value> = serde_json::from_str(severities).ok()?;
    Some(FindingCounts::of(severities.iter().filter_map(serde_json::Value::as_str)))
}

fn read_task<R: Row>(reader: &mut Reader<'_, R>) -> StoreResult<Record> {
    let record = Record::read(reader)?;
    Ok(record.with_damage(reader.damaged.take().unwrap_or_default()))
}

/// Returns the columns of a task that its summary has.
pub(crate) fn summary_columns() -> impl Iterator<Item = &'static Column<Record>> {
    Record::COLUMNS.iter().filter(|column| !TASK_CONTENT.contains(&column.name))
}

/// Returns those of the columns that are written again after the insertion.
pub(crate) fn changes<E>(columns: &'static [Column<E>]) -> impl Iterator<Item = &'static Column<E>> {
    columns.iter().filter(|column| column.written != Written::Once)
}

/// Joins the parts that columns have in a statement; `part` gets their places, counted from 0.
pub(crate) fn join<E: 'static>(
    columns: impl IntoIterator<Item = &'static Column<E>>,
    part: impl Fn(usize, &Column<E>) -> String,
) -> String {
    let parts: Vec<String> = (0..).zip(columns).map(|(place, column)| part(place, column)).collect();
    parts.join(", ")
}

/// Returns the names of columns, as INSERT has them.
pub(crate) fn names<E: 'static>(columns: impl IntoIterator<Item = &'static Column<E>>) -> String {
    join(columns, |_, column| column.name.to_owned())
}

/// Returns the assignments by which an INSERT overwrites these columns of the row that it conflicts with.
pub(crate) fn overwritten<E: 'static>(columns: impl IntoIterator<Item = &'static Column<E>>) -> String {
    join(columns, |_, column| format!("{0} = excluded.{0}", column.name))
}

/// Returns the kind of the column of a field.
const fn kind_of<E, T: Value>(_: fn(&E) -> &T) -> Kind {
    T::KIND
}

/// Returns the kinds of the two columns of a field.
const fn kinds_of<E, T: Pair>(_: fn(&E) -> &T) -> [Kind; 2] {
    T::KINDS
}

/// Name of a column; the form `text` selects an enumeration as text.
macro_rules! name {
    ($form:ident [$field:ident]) => {
        stringify!($field)
    };
    ($form:ident [$field:ident as $name:ident]) => {
        stringify!($name)
    };
    (plain [$field:ident: $cast:ident]) => {
        stringify!($field)
    };
    (text [$field:ident: $cast:ident]) => {
        concat!(stringify!($field), "::text")
    };
}

/// Names of columns, with commas between them.
macro_rules! select {
    ($form:ident $first:tt $($rest:tt)*) => {
        concat!($crate::columns::name!($form $first) $(, ", ", $crate::columns::name!($form $rest))*)
    };
}

/// Cast of a column to its enumeration.
macro_rules! cast {
    ($field:ident: $cast:ident) => {
        Some(concat!("::", stringify!($cast)))
    };
    ($($field:tt)*) => {
        None
    };
}

/// Time at which a column with this mark is written.
macro_rules! written {
    () => {
        Written::Once
    };
    (changes) => {
        Written::Again
    };
    (later) => {
        Written::Later
    };
}

/// [`Column`] of a field, or of a part of a [`Pair`].
macro_rules! column {
    ([$field:ident $($spec:tt)*] $($mark:ident)?; $entity:ident, $($path:tt)+) => {
        Column {
            name: name!(plain [$field $($spec)*]),
            kind: kind_of(|entity: &$entity| &entity.$($path)+),
            cast: cast!($field $($spec)*),
            written: written!($($mark)?),
            get: |entity: &$entity| entity.$($path)+.to_cell(),
            #[cfg(test)]
            field: stringify!($field),
        }
    };
    ($name:ident, $part:ident, $place:literal; $entity:ident, $pair:ident) => {
        Column {
            name: stringify!($name),
            kind: kinds_of(|entity: &$entity| &entity.$pair)[$place],
            cast: None,
            written: Written::Once,
            get: |entity: &$entity| entity.$pair.$part(),
            #[cfg(test)]
            field: stringify!($name),
        }
    };
}

/// Implements [`Entity`], and defines a macro with the names of its columns for SELECT.
///
/// - `field` is stored in the column of this name, `field as name` in another,
/// - `#[changes]` marks a column that is written again when the entity changes, `#[later]` one that is
///   [written only then](Written::Later),
/// - `field: name` is an enumeration of PostgreSQL; `$list!(text)` selects it as text,
/// - `with field: Type { ... }` has the fields of a struct within the entity,
/// - `and field as (first, second)` is a [`Pair`],
/// - `without field` is not stored.
macro_rules! columns {
    (
        $entity:ident as $list:ident {
            $($(#[$mark:ident])? $field:ident $(as $name:ident)? $(: $cast:ident)?),* $(,)?
        }
        $(with $group:ident: $Group:ident {
            $($(#[$gmark:ident])? $gfield:ident $(as $gname:ident)? $(: $gcast:ident)?),* $(,)?
        })?
        $(and $pair:ident as ($first:ident, $second:ident))?
        $(without $unstored:ident)?
    ) => {
        macro_rules! $list {
            () => {
                $crate::columns::select!(
                    plain $([$field $(as $name)? $(: $cast)?])*
                    $($([$gfield $(as $gname)? $(: $gcast)?])*)? $([$first] [$second])?
                )
            };
            (text) => {
                $crate::columns::select!(
                    text $([$field $(as $name)? $(: $cast)?])*
                    $($([$gfield $(as $gname)? $(: $gcast)?])*)? $([$first] [$second])?
                )
            };
        }
        pub(crate) use $list;

        impl Entity for $entity {
            const COLUMNS: &'static [Column<Self>] = &[
                $(column!([$field $(as $name)? $(: $cast)?] $($mark)?; $entity, $field),)*
                $($(column!([$gfield $(as $gname)? $(: $gcast)?] $($gmark)?; $entity, $group.$gfield),)*)?
                $(
                    column!($first, first, 0; $entity, $pair),
                    column!($second, second, 1; $entity, $pair),
                )?
            ];

            fn read<R: Row>(row: &mut Reader<'_, R>) -> StoreResult<Self> {
                Ok(Self {
                    $($field: row.value(name!(plain [$field $(as $name)?]))?,)*
                    $($group: $Group { $($gfield: row.value(name!(plain [$gfield $(as $gname)?]))?,)* },)?
                    $($pair: row.pair()?,)?
                    $($unstored: Default::default(),)?
                })
            }
        }
    };
}
use {cast, column, columns, written};
pub(crate) use {name, select};
