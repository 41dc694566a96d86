//! The known columns of a decoded batch as plain slices, whatever Arrow type
//! they came in. Values are taken over as they are, or converted in one pass over the batch; no
//! row costs an allocation.

use std::borrow::Cow;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, Int64Array, PrimitiveArray};
use arrow_buffer::{NullBuffer, ScalarBuffer};
use arrow_schema::DataType;

use super::json;
use super::record::SparseParts;
use crate::columns::item;

/// Text of any kind; `Err` where the bytes are no UTF-8.
pub(super) fn text_at(array: &dyn Array, row: usize) -> Option<Result<&str, &[u8]>> {
    if array.is_null(row) {
        return None;
    }
    let bytes = match array.data_type() {
        DataType::Utf8View => return Some(Ok(array.as_string_view().value(row))),
        DataType::Utf8 => return Some(Ok(array.as_string::<i32>().value(row))),
        DataType::LargeUtf8 => return Some(Ok(array.as_string::<i64>().value(row))),
        DataType::BinaryView => array.as_binary_view().value(row),
        DataType::Binary => array.as_binary::<i32>().value(row),
        DataType::LargeBinary => array.as_binary::<i64>().value(row),
        DataType::Dictionary(_, _) => {
            let dictionary = array.as_any_dictionary();
            let place = usize::try_from(integer_at(dictionary.keys(), row)?).ok()?;
            return text_at(dictionary.values(), place);
        }
        _ => return None,
    };
    Some(std::str::from_utf8(bytes).map_err(|_| bytes))
}

/// The whole number at `row` of an array of any integer type.
pub(super) fn integer_at(array: &dyn Array, row: usize) -> Option<i128> {
    if array.is_null(row) {
        return None;
    }
    Some(match array.data_type() {
        DataType::Int8 => array.as_primitive::<Int8Type>().value(row).into(),
        DataType::Int16 => array.as_primitive::<Int16Type>().value(row).into(),
        DataType::Int32 => array.as_primitive::<Int32Type>().value(row).into(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).into(),
        DataType::UInt8 => array.as_primitive::<UInt8Type>().value(row).into(),
        DataType::UInt16 => array.as_primitive::<UInt16Type>().value(row).into(),
        DataType::UInt32 => array.as_primitive::<UInt32Type>().value(row).into(),
        DataType::UInt64 => array.as_primitive::<UInt64Type>().value(row).into(),
        _ => return None,
    })
}

/// Ids as they stand in the file, or as they are made.
pub(crate) enum IdColumn {
    /// A column of texts or integers.
    Stored(ArrayRef),
    /// A prefix and the row's number in the file.
    Numbered {
        /// What comes before the number.
        prefix: Arc<str>,
        /// The number of the first row.
        first_row: u64,
    },
}

impl IdColumn {
    pub(super) fn new(array: &ArrayRef) -> Self {
        IdColumn::Stored(ArrayRef::clone(array))
    }

    pub(super) fn numbered(prefix: &Arc<str>) -> Self {
        IdColumn::Numbered { prefix: Arc::clone(prefix), first_row: 0 }
    }

    /// Says which row of the file is the first.
    pub(super) fn start_at(&mut self, row: u64) {
        if let IdColumn::Numbered { first_row, .. } = self {
            *first_row = row;
        }
    }

    /// The id of `row` as text; none where it is null, `Err` where it is no
    /// UTF-8.
    pub(crate) fn get(&self, row: usize) -> Option<Result<Cow<'_, str>, &[u8]>> {
        match self {
            IdColumn::Stored(array) if array.data_type().is_integer() => {
                integer_at(array, row).map(|id| Ok(Cow::Owned(id.to_string())))
            }
            IdColumn::Stored(array) => text_at(array, row).map(|text| text.map(Cow::Borrowed)),
            IdColumn::Numbered { prefix, first_row } => {
                Some(Ok(Cow::Owned(format!("{prefix}{}", first_row + row as u64))))
            }
        }
    }
}

/// Where the lists of a column begin and end in its items.
#[derive(Debug, Clone)]
pub(crate) struct Lists {
    /// One more than there are lists; starts with 0.
    offsets: Vec<usize>,
    nulls: Option<NullBuffer>,
}

impl Lists {
    /// The lists of `array`, and their items from the first list's first on.
    fn new(array: &ArrayRef) -> Result<(Self, ArrayRef), String> {
        let nulls = array.nulls().cloned();
        let (raw, items): (Vec<usize>, _) = match array.data_type() {
            DataType::List(_) => {
                let list = array.as_list::<i32>();
                (list.offsets().iter().map(|at| *at as usize).collect(), list.values())
            }
            DataType::LargeList(_) => {
                let list = array.as_list::<i64>();
                (list.offsets().iter().map(|at| *at as usize).collect(), list.values())
            }
            DataType::FixedSizeList(_, _) => {
                let list = array.as_fixed_size_list();
                let length = list.value_length() as usize;
                ((0..=list.len()).map(|row| row * length).collect(), list.values())
            }
            other => return Err(format!("a list was decoded as {other}")),
        };
        let (first, last) = (raw.first().copied().unwrap_or(0), raw.last().copied().unwrap_or(0));
        let items = items.slice(first, last - first);
        let offsets = raw.into_iter().map(|at| at - first).collect();
        Ok((Self { offsets, nulls }, items))
    }

    /// `rows` lists of `length` items each.
    fn even(rows: usize, length: usize) -> Self {
        Self { offsets: (0..=rows).map(|row| row * length).collect(), nulls: None }
    }

    /// The items' range of `row`; none where the list is null.
    pub(crate) fn range(&self, row: usize) -> Option<std::ops::Range<usize>> {
        if self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            return None;
        }
        Some(self.offsets[row]..self.offsets[row + 1])
    }
}

/// Floats of any width as f32; a null counts as 0 and is in the null buffer.
fn floats(array: &ArrayRef) -> Result<(ScalarBuffer<f32>, Option<NullBuffer>), String> {
    let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0).cloned();
    let values = match array.data_type() {
        DataType::Float32 => array.as_primitive::<Float32Type>().values().clone(),
        // Out of f32's range becomes infinite, which the rules refuse.
        DataType::Float64 => convert(array.as_primitive::<Float64Type>(), |value| value as f32),
        DataType::Float16 => convert(array.as_primitive::<Float16Type>(), half::f16::to_f32),
        other => return Err(format!("a list of floats was decoded as a list of {other}")),
    };
    Ok((values, nulls))
}

fn convert<T: ArrowPrimitiveType>(
    array: &PrimitiveArray<T>,
    as_f32: impl Fn(T::Native) -> f32,
) -> ScalarBuffer<f32> {
    array.values().iter().map(|value| as_f32(*value)).collect()
}

/// Dense vectors as they stand in the file.
pub(crate) struct DenseColumn {
    /// The components of all rows.
    pub(crate) values: ScalarBuffer<f32>,
    /// Which of them are null.
    pub(crate) nulls: Option<NullBuffer>,
    /// Which belong to which row.
    pub(crate) lists: Lists,
}

impl DenseColumn {
    pub(super) fn new(array: &ArrayRef) -> Result<Self, String> {
        let (lists, items) = Lists::new(array)?;
        let (values, nulls) = floats(&items)?;
        Ok(Self { values, nulls, lists })
    }

    /// `rows` vectors of `length` components each, end to end.
    pub(super) fn even(values: ScalarBuffer<f32>, rows: usize, length: usize) -> Self {
        Self { values, nulls: None, lists: Lists::even(rows, length) }
    }

    /// The first null component within `range`, counted from its start.
    pub(crate) fn first_null(&self, range: &std::ops::Range<usize>) -> Option<usize> {
        first_null(self.nulls.as_ref(), range)
    }
}

/// Dense vectors that come one by one.
#[derive(Default)]
pub(super) struct DenseRows {
    /// The components so far.
    pub(super) values: Vec<f32>,
    /// Which of them are null.
    pub(super) nulls: Vec<usize>,
    lists: ListRows,
}

/// Lists that come one by one.
#[derive(Default)]
struct ListRows {
    ends: Vec<usize>,
    present: Vec<bool>,
}

impl ListRows {
    /// A list ends before item `end`.
    fn end(&mut self, end: usize, is_present: bool) {
        self.ends.push(end);
        self.present.push(is_present);
    }

    fn finish(self) -> Lists {
        let offsets = std::iter::once(0).chain(self.ends).collect();
        Lists { offsets, nulls: Some(NullBuffer::from(self.present)) }
    }
}

impl DenseRows {
    /// Ends a row: what was added since the last is its vector, if it has one.
    pub(super) fn end(&mut self, is_present: bool) {
        self.lists.end(self.values.len(), is_present);
    }

    /// Components so far.
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    pub(super) fn finish(self) -> DenseColumn {
        let nulls = null_at(&self.nulls, self.values.len());
        DenseColumn { values: self.values.into(), nulls, lists: self.lists.finish() }
    }
}

/// Which of `length` items are null.
fn null_at(places: &[usize], length: usize) -> Option<NullBuffer> {
    if places.is_empty() {
        return None;
    }
    let mut valid = vec![true; length];
    places.iter().for_each(|place| valid[*place] = false);
    Some(NullBuffer::from(valid))
}

fn first_null(nulls: Option<&NullBuffer>, range: &std::ops::Range<usize>) -> Option<usize> {
    let nulls = nulls?;
    range.clone().position(|at| nulls.is_null(at))
}

/// Sparse vectors as they stand in the file.
pub(crate) struct SparseColumn {
    nulls: Option<NullBuffer>,
    index_lists: Lists,
    indices: ArrayRef,
    value_lists: Lists,
    values: ScalarBuffer<f32>,
    value_nulls: Option<NullBuffer>,
}

/// A sparse vector of a row, before any rule but those of its types.
pub(crate) enum SparseRow {
    /// There is none.
    Absent,
    /// A part of it is null; names the part.
    PartNull(String),
    /// An index is no 32-bit whole number.
    BadIndex(i128),
    /// Indices and values.
    Present(Vec<u32>, Vec<f32>),
}

impl SparseColumn {
    pub(super) fn new(array: &ArrayRef) -> Result<Self, String> {
        let DataType::Struct(_) = array.data_type() else {
            return Err(format!("sparse vectors were decoded as {}", array.data_type()));
        };
        let parts = array.as_struct();
        let part = |name: &str| {
            parts.column_by_name(name).ok_or_else(|| format!("sparse vectors have no {name}"))
        };
        let (index_lists, indices) = Lists::new(part("indices")?)?;
        let (value_lists, values) = Lists::new(part("values")?)?;
        let (values, value_nulls) = floats(&values)?;
        let nulls = array.nulls().cloned();
        Ok(Self { nulls, index_lists, indices, value_lists, values, value_nulls })
    }

    /// Sparse vectors that came one by one.
    pub(super) fn of_rows(rows: Vec<Option<SparseParts>>) -> Self {
        let mut present = Vec::with_capacity(rows.len());
        let (mut index_lists, mut value_lists) = (ListRows::default(), ListRows::default());
        let mut indices = Vec::new();
        let (mut values, mut value_nulls) = (Vec::new(), Vec::new());
        for row in rows {
            present.push(row.is_some());
            let SparseParts { indices: at, values: of } = row.unwrap_or_default();
            let (any_at, any_of) = (at.is_some(), of.is_some());
            indices.extend(at.unwrap_or_default());
            let (of, nulls) = of.unwrap_or_default();
            value_nulls.extend(nulls.into_iter().map(|place| place + values.len()));
            values.extend(of);
            index_lists.end(indices.len(), any_at);
            value_lists.end(values.len(), any_of);
        }
        let value_nulls = null_at(&value_nulls, values.len());
        Self {
            nulls: Some(NullBuffer::from(present)),
            index_lists: index_lists.finish(),
            indices: Arc::new(Int64Array::from(indices)),
            value_lists: value_lists.finish(),
            values: values.into(),
            value_nulls,
        }
    }

    /// The sparse vector of `row`.
    pub(crate) fn get(&self, row: usize) -> SparseRow {
        if self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            return SparseRow::Absent;
        }
        let (at, of) = match (self.index_lists.range(row), self.value_lists.range(row)) {
            (Some(at), Some(of)) => (at, of),
            // Written so where a struct cannot be null itself.
            (None, None) => return SparseRow::Absent,
            (None, Some(_)) => return SparseRow::PartNull("indices".to_owned()),
            (Some(_), None) => return SparseRow::PartNull("values".to_owned()),
        };
        let mut indices = Vec::with_capacity(at.len());
        for (position, place) in at.enumerate() {
            match integer_at(&self.indices, place) {
                None => return SparseRow::PartNull(format!("index {position}")),
                Some(index) => match u32::try_from(index) {
                    Ok(index) => indices.push(index),
                    Err(_) => return SparseRow::BadIndex(index),
                },
            }
        }
        if let Some(position) = first_null(self.value_nulls.as_ref(), &of) {
            return SparseRow::PartNull(format!("value {position}"));
        }
        SparseRow::Present(indices, self.values[of].to_vec())
    }
}

/// Metadata as it stands in the file.
pub(crate) enum MetadataColumn {
    /// JSON text.
    Text(ArrayRef),
    /// A struct or map, turned into JSON row by row.
    Nested(ArrayRef),
}

/// A row's metadata, before any rule.
pub(crate) enum MetadataRow<'a> {
    /// There is none.
    Absent,
    /// The bytes are no UTF-8.
    NotUtf8(&'a [u8]),
    /// JSON text, or what should be.
    Json(Cow<'a, str>),
}

impl MetadataColumn {
    /// None for a column that is null throughout and so has no type.
    pub(super) fn new(array: &ArrayRef) -> Result<Option<Self>, String> {
        Ok(match array.data_type() {
            DataType::Null => None,
            DataType::Struct(_) | DataType::Map(_, _) => {
                Some(MetadataColumn::Nested(ArrayRef::clone(array)))
            }
            kind if item(kind).is_some() => return Err(format!("metadata was decoded as {kind}")),
            _ => Some(MetadataColumn::Text(ArrayRef::clone(array))),
        })
    }

    /// About how many bytes it holds.
    pub(crate) fn bytes(&self) -> usize {
        let (MetadataColumn::Text(array) | MetadataColumn::Nested(array)) = self;
        array.get_array_memory_size()
    }

    /// The metadata of `row`.
    pub(crate) fn get(&self, row: usize) -> MetadataRow<'_> {
        match self {
            MetadataColumn::Text(array) => match text_at(array, row) {
                None => MetadataRow::Absent,
                Some(Ok(text)) => MetadataRow::Json(Cow::Borrowed(text)),
                Some(Err(bytes)) => MetadataRow::NotUtf8(bytes),
            },
            MetadataColumn::Nested(array) if array.is_null(row) => MetadataRow::Absent,
            MetadataColumn::Nested(array) => {
                MetadataRow::Json(Cow::Owned(json::object_at(array, row)))
            }
        }
    }
}
