//! Text search against a plain model.
