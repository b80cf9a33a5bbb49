//! Several connections read one snapshot in parts; the parts come out in order.

use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Condvar, Mutex};

use bytes::Bytes;
use futures_util::{TryStreamExt as _, pin_mut};

use super::DatasetError;
use super::source::SETTINGS;
use crate::names::literal;
use crate::ports::postgres::{Client, PgError, Postgres, message};

/// Bytes of one part that may wait: more than most parts have. One block may always be on its way, however large.
const WAITING: usize = 8 << 20;

type Block = Result<Bytes, DatasetError>;

/// What one COPY gives, a block after the other.
pub(super) struct Part {
    blocks: Receiver<Block>,
    room: Arc<Room>,
}

impl Part {
    /// How much of it may be read ahead.
    fn new() -> (Filling, Self) {
        let (sender, blocks) = channel();
        let room = Arc::new(Room::default());
        (Filling { blocks: sender, room: room.clone() }, Self { blocks, room })
    }
}

impl Iterator for Part {
    type Item = Block;

    fn next(&mut self) -> Option<Block> {
        let block = self.blocks.recv().ok()?;
        self.room.leave(block.as_ref().map_or(0, Bytes::len));
        Some(block)
    }
}

impl Drop for Part {
    /// Whoever waits for room finds out that nobody listens any more.
    fn drop(&mut self) {
        self.room.leave(usize::MAX);
    }
}

/// The other end of a part.
#[derive(Clone)]
struct Filling {
    blocks: Sender<Block>,
    room: Arc<Room>,
}

impl Filling {
    /// False when nobody listens any more.
    fn send(&self, block: Block) -> bool {
        self.room.enter(block.as_ref().map_or(0, Bytes::len));
        self.blocks.send(block).is_ok()
    }
}

#[derive(Default)]
struct Room {
    taken: Mutex<usize>,
    left: Condvar,
}

impl Room {
    fn enter(&self, bytes: usize) {
        let Ok(taken) = self.taken.lock() else { return };
        if let Ok(mut taken) = self.left.wait_while(taken, |taken| *taken > 0 && *taken + bytes > WAITING) {
            *taken += bytes;
        }
    }

    fn leave(&self, bytes: usize) {
        if let Ok(mut taken) = self.taken.lock() {
            *taken = taken.saturating_sub(bytes);
        }
        self.left.notify_all();
    }
}

/// What all connections share.
struct Turns {
    copies: Vec<String>,
    next: usize,
    parts: SyncSender<Part>,
}

/// One part after the other, each a COPY.
pub(super) fn start(server: &Postgres, copies: Vec<String>, snapshot: Option<&str>, connections: usize, name: &str) -> Receiver<Part> {
    let connections = if snapshot.is_some() { connections.clamp(1, copies.len()) } else { 1 };
    let (parts, ready) = sync_channel(connections);
    let turns = Arc::new(Mutex::new(Turns { copies, next: 0, parts }));
    let begin = begin(snapshot);
    for _ in 0..connections {
        let (server, turns, begin, name) = (server.clone(), turns.clone(), begin.clone(), name.to_owned());
        // On its own thread: it sleeps while the server fills the socket.
        std::thread::spawn(move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
            if let Err(error) = runtime.block_on(read(&server, &turns, &begin, &name)) {
                fail(&turns, error);
            }
        });
    }
    ready
}

fn begin(snapshot: Option<&str>) -> String {
    let taken = snapshot.map(|id| format!("; set transaction snapshot {}", literal(id))).unwrap_or_default();
    format!("begin isolation level repeatable read read only{taken}; {SETTINGS}")
}

/// An error that belongs to no part yet comes as a part of its own; whoever waits for the next one finds it.
fn fail(turns: &Mutex<Turns>, error: DatasetError) {
    let (filling, part) = Part::new();
    filling.send(Err(error));
    if let Ok(mut turns) = turns.lock() {
        turns.next = usize::MAX;
        let _ = turns.parts.send(part);
    }
}

/// The next copy, and where its blocks go; nothing when all are taken or nobody listens.
fn turn(turns: &Mutex<Turns>) -> Option<(String, Filling)> {
    let mut turns = turns.lock().ok()?;
    let copy = turns.copies.get(turns.next)?.clone();
    turns.next += 1;
    let (filling, part) = Part::new();
    turns.parts.send(part).ok()?;
    Some((copy, filling))
}

async fn read(server: &Postgres, turns: &Mutex<Turns>, begin: &str, name: &str) -> Result<(), DatasetError> {
    let doing = format!("running {name}");
    let (client, switch) = server.bulk().await?;
    client.batch_execute(begin).await.map_err(|e| server.error("opening the snapshot", &e))?;
    while let Some((copy, filling)) = turn(turns) {
        if let Some(switch) = &switch {
            let blocks = filling.clone();
            switch.divert(Box::new(move |block| blocks.send(Ok(block))));
        }
        let ended = one(&client, &copy, &filling).await;
        if let Some(switch) = &switch {
            // A part ends when nobody can add to it any more.
            switch.stop();
        }
        if let Err(error) = ended {
            // When nobody listens any more, the one who stopped says why.
            filling.send(Err(PgError::into(server.error(&doing, &error))));
            return Ok(());
        }
    }
    Ok(())
}

/// What is not diverted comes by way of the driver.
async fn one(client: &Client, copy: &str, filling: &Filling) -> Result<(), tokio_postgres::Error> {
    let stream = client.copy_out(copy).await?;
    pin_mut!(stream);
    while let Some(content) = stream.try_next().await? {
        if !filling.send(Ok(message(&content))) {
            break;
        }
    }
    Ok(())
}
