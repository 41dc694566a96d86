//! Random records, filters and writes of few ids and values, so that they
//! meet each other often; and what a write does to a model.

use crossbill_core::{
    ErrorKind, Filter, IndexShape, Metadata, MetadataValue, NamespaceName, Record, Result, Rng,
    SparseVector,
};
use crossbill_db::{Index, Removal, Selector, Update};
use crossbill_sim::{BODY, Model, TITLE, Wanted};

/// Words of documents, each in its forms: apart as titles have them, the same
/// where stems count.
const FORMS: [[&str; 2]; 5] =
    [["cone", "cones"], ["seed", "seeds"], ["run", "running"], ["tree", "trees"], ["pine", "pine"]];

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

    /// One of the words, in one of its forms; `number` chooses the word.
    fn word(&mut self, number: u64) -> &'static str {
        FORMS[number as usize % FORMS.len()][self.rng.below(2) as usize]
    }

    fn text(&mut self) -> MetadataValue {
        let mut text = String::new();
        for _ in 0..1 + self.rng.below(9) {
            let number = self.rng.below(FORMS.len() as u64);
            let word = self.word(number);
            text += [" ", "-", ", THE "][self.rng.below(3) as usize];
            text += word;
        }
        MetadataValue::String(text)
    }

    /// The texts and other fields of a document: a title always, so that it
    /// has a field to be found by whatever is taken away.
    fn fields(&mut self) -> Metadata {
        let has_others = self.rng.below(4) > 0;
        let mut fields = if has_others { self.metadata() } else { Metadata::default() };
        fields.0.insert(TITLE.to_owned(), self.text());
        if self.rng.below(3) > 0 {
            fields.0.insert(BODY.to_owned(), self.text());
        }
        fields
    }

    /// Up to three words that are not the same however they are read.
    fn words(&mut self) -> Vec<String> {
        let (first, count) = (self.rng.below(5), 1 + self.rng.below(3));
        (first..first + count).map(|number| self.word(number).to_owned()).collect()
    }

    fn text_field(&mut self) -> String {
        [TITLE, BODY][self.rng.below(2) as usize].to_owned()
    }

    /// What texts may be searched for, one or two things.
    pub(crate) fn wanted(&mut self) -> Vec<Wanted> {
        let one = |generator: &mut Self| {
            let (field, words) = (generator.text_field(), generator.words());
            match generator.below(4) {
                0 => Wanted::Any(vec![field], words),
                1 => Wanted::Any(vec![TITLE.to_owned(), BODY.to_owned()], words),
                2 => Wanted::All(field, words),
                _ => Wanted::Phrase(field, words),
            }
        };
        (0..1 + self.below(2)).map(|_| one(self)).collect()
    }

    pub(crate) fn sparse(&mut self) -> SparseVector {
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
            metadata: match self.shape.documents {
                true => Some(self.fields()),
                false => (self.rng.below(4) > 0).then(|| self.metadata()),
            },
        }
    }

    pub(crate) fn filter(&mut self) -> Filter {
        if self.shape.documents && self.rng.below(2) == 0 {
            return self.filter_of_words();
        }
        let json = match self.rng.below(4) {
            0 => r#"{"kind":"k1"}"#.to_owned(),
            1 => r#"{"kind":{"$ne":"k0"}}"#.to_owned(),
            2 => format!(r#"{{"n":{{"$gte":{}}}}}"#, self.rng.below(10)),
            _ => r#"{"n":{"$exists":false}}"#.to_owned(),
        };
        Filter::from_json(&json).unwrap()
    }

    fn filter_of_words(&mut self) -> Filter {
        let (field, words) = (self.text_field(), self.words().join(" "));
        let how = ["$match_phrase", "$match_all", "$match_any"][self.rng.below(3) as usize];
        let condition = format!(r#"{{"{field}":{{"{how}":"{words}"}}}}"#);
        let json = match self.rng.below(4) {
            0 => format!(r#"{{"$not":{condition}}}"#),
            1 => format!(r#"{{"$or":[{condition},{{"kind":"k1"}}]}}"#),
            _ => condition,
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
            18..20 => {
                let filter = self.filter();
                Write::UpdateWhere(filter, self.changed_fields())
            }
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
            set_metadata: Some(self.changed_fields()),
            remove: if self.shape.documents { self.removal() } else { Removal::default() },
        }
    }

    fn changed_fields(&mut self) -> Metadata {
        match self.shape.documents && self.rng.below(2) == 0 {
            true => self.fields(),
            false => self.metadata(),
        }
    }

    fn removal(&mut self) -> Removal {
        let fields = match self.rng.below(3) {
            0 => vec![BODY.to_owned(), "n".to_owned()],
            _ => Vec::new(),
        };
        Removal { sparse: self.rng.below(4) == 0, fields }
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
