//! Random records, filters and writes of few ids and values, so that they
//! meet each other often; and what a write does to a model.

use crossbill_core::{
    ErrorKind, Filter, IndexShape, Metadata, NamespaceName, Record, Result, Rng, SparseVector,
};
use crossbill_db::{Index, Selector, Update};
use crossbill_sim::Model;

/// Makes things at random.
#[derive(Clone)]
pub(crate) struct Generator {
    pub(crate) rng: Rng,
    pub(crate) shape: IndexShape,
    /// Different ids.
    pub(crate) ids: u64,
}

/// One write.
#[derive(Debug, Clone)]
pub(crate) enum Write {
    Upsert(Vec<Record>),
    Delete(Vec<String>),
    DeleteWhere(Filter),
    Clear,
    Update(Update),
    UpdateWhere(Filter, Metadata),
}

impl Generator {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.rng.below(bound)
    }

    fn id(&mut self) -> String {
        format!("id{:03}", self.rng.below(self.ids))
    }

    /// One of few values, so that scores tie; never 0.
    fn number(&mut self) -> f32 {
        self.rng.below(9) as f32 - 4.5
    }

    fn metadata(&mut self) -> Metadata {
        let json = format!(r#"{{"kind":"k{}","n":{}}}"#, self.rng.below(3), self.rng.below(10));
        Metadata::from_json(&json).unwrap()
    }

    fn sparse(&mut self) -> SparseVector {
        let first = self.rng.below(6) as u32;
        let second = first + 1 + self.rng.below(3) as u32;
        SparseVector::new(vec![first, second], vec![self.number(), self.number()]).unwrap()
    }

    pub(crate) fn record(&mut self) -> Record {
        let is_sparse = self.shape == IndexShape::sparse();
        let has_sparse = is_sparse || (self.shape.takes_sparse() && self.rng.below(2) == 0);
        Record {
            id: self.id(),
            values: (0..self.shape.dimension).map(|_| self.number()).collect(),
            sparse: has_sparse.then(|| self.sparse()),
            metadata: (self.rng.below(4) > 0).then(|| self.metadata()),
        }
    }

    pub(crate) fn filter(&mut self) -> Filter {
        let json = match self.rng.below(4) {
            0 => r#"{"kind":"k1"}"#.to_owned(),
            1 => r#"{"kind":{"$ne":"k0"}}"#.to_owned(),
            2 => format!(r#"{{"n":{{"$gte":{}}}}}"#, self.rng.below(10)),
            _ => r#"{"n":{"$exists":false}}"#.to_owned(),
        };
        Filter::from_json(&json).unwrap()
    }

    pub(crate) fn write(&mut self) -> Write {
        match self.rng.below(24) {
            0..12 => {
                let count = 1 + self.rng.below(self.ids / 5);
                Write::Upsert((0..count).map(|_| self.record()).collect())
            }
            12..16 => Write::Delete((0..1 + self.rng.below(4)).map(|_| self.id()).collect()),
            16..18 => Write::DeleteWhere(self.filter()),
            18 if self.rng.below(4) == 0 => Write::Clear,
            18..20 => Write::UpdateWhere(self.filter(), self.metadata()),
            _ => Write::Update(self.update()),
        }
    }

    fn update(&mut self) -> Update {
        let fresh = self.record();
        let new_values = !fresh.values.is_empty() && self.rng.below(2) == 0;
        Update {
            id: fresh.id,
            values: new_values.then_some(fresh.values),
            sparse: fresh.sparse,
            set_metadata: Some(self.metadata()),
            ..Update::default()
        }
    }
}

impl Write {
    /// Whether it may be done while this process commits.
    pub(crate) fn needs_no_commit(&self) -> bool {
        !matches!(self, Write::DeleteWhere(_))
    }

    /// Writes it. Deletions where there is no namespace do nothing.
    pub(crate) fn apply(&self, index: &Index) -> Result<()> {
        let default = NamespaceName::default_namespace();
        let done = match self.clone() {
            Write::Upsert(records) => index.upsert(&default, records).map(drop),
            Write::Delete(ids) => index.delete(&default, Selector::Ids(ids)).map(drop),
            Write::DeleteWhere(filter) => {
                index.delete(&default, Selector::Filter(filter)).map(drop)
            }
            Write::Clear => index.delete(&default, Selector::All).map(drop),
            Write::Update(update) => index.update(&default, update).map(drop),
            Write::UpdateWhere(filter, fields) => {
                let update = Update { set_metadata: Some(fields), ..Update::default() };
                index.update_by_filter(&default, &filter, update, false).map(drop)
            }
        };
        match done {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    /// Does to the model what the write should do.
    pub(crate) fn apply_to(&self, model: &mut Model) {
        match self.clone() {
            Write::Upsert(records) => model.upsert(records),
            Write::Delete(ids) => model.records.retain(|id, _| !ids.contains(id)),
            Write::DeleteWhere(filter) => model.delete_matching(&filter),
            Write::Clear => model.records.clear(),
            Write::Update(update) => model.update(update).unwrap(),
            Write::UpdateWhere(filter, fields) => {
                model.update_matching(&filter, &fields).unwrap();
            }
        }
    }
}
