//! Writes and reads the states of strategies as bytes.

use lanner_nn::Rng;
use lanner_predict::PredictError;

/// Writes numbers one after the other, little-endian, without loss.
#[derive(Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    /// Writes the position of a generator; its seed is the strategy's.
    pub fn rng(&mut self, rng: &Rng) {
        self.0.extend(rng.get_word_pos().to_le_bytes());
    }

    pub fn number(&mut self, value: usize) {
        self.0.extend((value as u64).to_le_bytes());
    }

    pub fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len());
        self.0.extend(bytes);
    }

    pub fn floats(&mut self, values: &[f64]) {
        self.number(values.len());
        values.iter().for_each(|v| self.0.extend(v.to_le_bytes()));
    }

    pub fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// Reads the bytes of a [`Writer`], in the same order.
pub(crate) struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], PredictError> {
        let (first, rest) = self.0.split_at_checked(count).ok_or_else(damaged)?;
        self.0 = rest;
        Ok(first)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], PredictError> {
        self.take(N)?.try_into().map_err(|_| damaged())
    }

    pub fn rng(&mut self, rng: &mut Rng) -> Result<(), PredictError> {
        rng.set_word_pos(u128::from_le_bytes(self.array()?));
        Ok(())
    }

    pub fn number(&mut self) -> Result<usize, PredictError> {
        Ok(u64::from_le_bytes(self.array()?) as usize)
    }

    pub fn bytes(&mut self) -> Result<&'a [u8], PredictError> {
        let count = self.number()?;
        self.take(count)
    }

    pub fn floats(&mut self) -> Result<Vec<f64>, PredictError> {
        let count = self.number()?;
        let bytes = self.take(count.checked_mul(8).ok_or_else(damaged)?)?;
        Ok(bytes.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b)).collect())
    }

    pub fn end(self) -> Result<(), PredictError> {
        if self.0.is_empty() { Ok(()) } else { Err(damaged()) }
    }
}

fn damaged() -> PredictError {
    PredictError::Model { why: "the stored state of the strategy is of another one".into() }
}
