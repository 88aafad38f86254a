//! Waiting for the disk, away from the engine's thread.

use std::{
    io,
    sync::{
        Arc,
        mpsc::{self, Receiver, Sender},
    },
    thread::JoinHandle,
};

use crate::backend::{StoreError, Upload};

use super::{control::Control, sessions::Key};

/// What became of an upload.
pub(super) type Committed = (Key, Result<(), StoreError>);

/// A thread that makes uploads last, one after the other, and wakes the engine after each.
pub(super) struct Committer {
    /// Gone when the thread is to end.
    jobs: Option<Sender<(Key, Box<dyn Upload>)>>,
    results: Receiver<Committed>,
    thread: Option<JoinHandle<()>>,
}

impl Committer {
    pub(super) fn start(control: Arc<Control>) -> io::Result<Self> {
        let (jobs, to_do) = mpsc::channel::<(Key, Box<dyn Upload>)>();
        let (done, results) = mpsc::channel();
        let work = move || {
            for (key, upload) in to_do {
                // Nobody takes the result of a transfer that has ended meanwhile.
                let _ = done.send((key, upload.commit()));
                control.wake();
            }
        };
        let thread = std::thread::Builder::new()
            .name("tftpd-commit".to_owned())
            .spawn(work)?;
        Ok(Self {
            jobs: Some(jobs),
            results,
            thread: Some(thread),
        })
    }

    /// Hands an upload over.
    pub(super) fn commit(&self, key: Key, upload: Box<dyn Upload>) {
        if let Some(jobs) = &self.jobs {
            // The thread lives as long as this does.
            let _ = jobs.send((key, upload));
        }
    }

    /// A result that has come in, if any.
    pub(super) fn result(&self) -> Option<Committed> {
        self.results.try_recv().ok()
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic in a backend has ended with its own message.
            let _ = thread.join();
        }
    }
}
