//! Blocks of a binary COPY into batches of columns.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::SchemaRef;
use bytes::Bytes;

use super::decode::{Column, Span};
use super::digest::{Summing, Sums};
use super::field::{Field, schema};
use crate::ports::postgres::HEAD;
use crate::ports::postgres::copy::{CopyOutError, read_header, read_row};

/// Rows of a batch: a multiple of what the Parquet writer takes at a time, so that its pages do not depend on blocks.
pub(super) const BATCH: usize = 16 * 1024;
/// Of the server's bytes, where rows are wide.
const BATCH_BYTES: usize = 8 << 20;

/// What comes out, in order.
pub(super) enum Piece {
    /// Rows, and how many bytes they had on their way.
    Batch(RecordBatch, usize),
    /// What follows has these values in the partition's columns.
    Partition(Vec<Option<String>>),
}

/// Gathers rows. What it makes depends on the rows and their order alone, not on how they arrived.
pub(super) struct Gathering {
    schema: SchemaRef,
    names: Vec<String>,
    columns: Vec<Column>,
    /// How many of the first fields say the partition and are not in the file.
    partition: usize,
    current: Option<Vec<Option<Vec<u8>>>>,
    /// Which fields order the rows.
    order: Vec<usize>,
    last: Vec<u8>,
    this: Vec<u8>,
    pub(super) ties: u64,
    summing: Summing,
    state: State,
    spans: Vec<Span>,
    rows: usize,
    bytes: usize,
}

/// Of one COPY.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Before,
    Rows,
    After,
}

/// Where reading stopped, and why.
pub(super) type Wrong = CopyOutError;

impl Gathering {
    /// The fields of the partition come first.
    pub(super) fn new(fields: &[Field], partition: usize, order: Vec<usize>) -> Self {
        let kept = &fields[partition..];
        Self {
            schema: schema(kept),
            names: kept.iter().map(|f| f.name.clone()).collect(),
            columns: kept.iter().map(|f| Column::new(&f.kind)).collect(),
            partition,
            current: None,
            order,
            last: Vec::new(),
            this: Vec::new(),
            ties: 0,
            summing: Summing::new(fields.len()),
            state: State::Before,
            spans: Vec::new(),
            rows: 0,
            bytes: 0,
        }
    }

    /// A COPY begins.
    pub(super) fn begin(&mut self) {
        self.state = State::Before;
    }

    /// A COPY is over; one that just stops is an error, not a short table.
    pub(super) fn over(&mut self) -> Result<(), Wrong> {
        if self.state == State::After { Ok(()) } else { Err(CopyOutError::Stream("it ends in the middle of the table".into())) }
    }

    /// Messages of a COPY, each of whole rows, with their heads; false when nobody listens any more.
    pub(super) fn block(&mut self, block: &Bytes, out: &mut impl FnMut(Piece) -> bool) -> Result<bool, Wrong> {
        let mut at = 0;
        while at < block.len() {
            let head = block.get(at + 1..at + HEAD).and_then(|head| head.first_chunk::<4>());
            let length = head.and_then(|head| usize::try_from(u32::from_be_bytes(*head)).ok());
            let end = length.map_or(usize::MAX, |length| at + 1 + length);
            if end > block.len() {
                return Err(CopyOutError::Stream("it ends in the middle of a message".into()));
            }
            at += HEAD;
            if self.state == State::Before {
                let mut content = block.slice(at..end);
                let whole = content.len();
                read_header(&mut content)?;
                at += whole - content.len();
                self.state = State::Rows;
            }
            while at < end && self.state == State::Rows {
                match self.row(block, at, end, out)? {
                    Some(0) => return Ok(false),
                    Some(length) => at += length,
                    None => self.state = State::After,
                }
            }
            at = end;
        }
        self.append(block)?;
        Ok(true)
    }

    /// One row; its length, or nothing for the mark at the end. No row is of no length: then nobody listens any more.
    fn row(&mut self, block: &[u8], at: usize, end: usize, out: &mut impl FnMut(Piece) -> bool) -> Result<Option<usize>, Wrong> {
        let width = self.columns.len() + self.partition;
        let (start, spans) = (self.spans.len(), &mut self.spans);
        let mut nulls = false;
        let place = |_, from: usize, length: i32| {
            nulls |= length < 0;
            spans.push(Span { at: u32::try_from(at + from).unwrap_or(u32::MAX), length });
        };
        let Some(length) = read_row(&block[at..end], width, place)? else { return Ok(None) };
        if self.partition > 0 && !self.same_partition(block, &self.spans[start..]) {
            let cells = self.spans.split_off(start);
            self.append(block)?;
            if !self.flush(out)? || !out(Piece::Partition(self.enter(block, &cells)?)) {
                return Ok(Some(0));
            }
            self.spans = cells;
        }
        if !self.order.is_empty() {
            self.look_at_order(block);
        }
        self.summing.add(&block[at + 2..at + length], nulls);
        self.rows += 1;
        self.bytes += length;
        if self.rows == BATCH || self.bytes >= BATCH_BYTES {
            self.append(block)?;
            if !self.flush(out)? {
                return Ok(Some(0));
            }
        }
        Ok(Some(length))
    }

    /// The rest; the sums of everything.
    pub(super) fn end(mut self, out: &mut impl FnMut(Piece) -> bool) -> Result<(Sums, u64), Wrong> {
        self.flush(out)?;
        Ok((self.summing.done(), self.ties))
    }

    /// Reads the spans that are waiting into the columns.
    fn append(&mut self, block: &[u8]) -> Result<(), Wrong> {
        let width = self.columns.len() + self.partition;
        for (i, (column, name)) in self.columns.iter_mut().zip(&self.names).enumerate() {
            let cells = self.spans.iter().skip(self.partition + i).step_by(width).map(|span| span.of(block));
            column.extend(cells).map_err(|why| CopyOutError::Stream(format!("column `{name}`: {why}")))?;
        }
        self.spans.clear();
        Ok(())
    }

    fn flush(&mut self, out: &mut impl FnMut(Piece) -> bool) -> Result<bool, Wrong> {
        if self.rows == 0 {
            return Ok(true);
        }
        let finished =
            |(column, name): (&mut Column, &String)| column.finish().map_err(|why| CopyOutError::Stream(format!("column `{name}`: {why}")));
        let columns: Vec<ArrayRef> = self.columns.iter_mut().zip(&self.names).map(finished).collect::<Result<_, _>>()?;
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(|e| CopyOutError::Stream(e.to_string()))?;
        let bytes = std::mem::take(&mut self.bytes);
        self.rows = 0;
        Ok(out(Piece::Batch(batch, bytes)))
    }

    fn same_partition(&self, block: &[u8], cells: &[Span]) -> bool {
        let Some(current) = &self.current else { return false };
        current.iter().zip(cells).all(|(value, cell)| value.as_deref() == cell.of(block))
    }

    fn enter(&mut self, block: &[u8], cells: &[Span]) -> Result<Vec<Option<String>>, Wrong> {
        let values: Vec<Option<Vec<u8>>> = cells[..self.partition].iter().map(|cell| cell.of(block).map(<[u8]>::to_vec)).collect();
        let text = |bytes: &Vec<u8>| String::from_utf8(bytes.clone()).map_err(|_| CopyOutError::Stream("a partition's name is not UTF-8".into()));
        let said = values.iter().map(|value| value.as_ref().map(text).transpose()).collect();
        self.current = Some(values);
        said
    }

    /// Rows that `order_by` cannot tell apart may come in another order the next time.
    fn look_at_order(&mut self, block: &[u8]) {
        let cells = &self.spans[self.spans.len() - self.columns.len() - self.partition..];
        self.this.clear();
        for i in &self.order {
            self.this.extend_from_slice(&cells[*i].length.to_be_bytes());
            self.this.extend_from_slice(cells[*i].of(block).unwrap_or_default());
        }
        self.ties += u64::from(self.this == self.last);
        std::mem::swap(&mut self.this, &mut self.last);
    }
}
