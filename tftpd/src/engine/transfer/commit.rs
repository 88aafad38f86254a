//! Commits of uploads, which wait for the disk, on a thread of their own.

use std::{
    io,
    sync::{
        Arc,
        mpsc::{self, Receiver, Sender},
    },
    thread::JoinHandle,
};

use crate::{
    backend::{StoreError, Upload},
    engine::{control::Control, id::TransferId},
};

/// An upload to commit, with its transfer.
pub(crate) type Commit = (TransferId, Box<dyn Upload>);

/// The result of a commit, with its transfer.
pub(crate) type Committed = (TransferId, Result<(), StoreError>);

/// A thread that commits uploads one after the other and wakes the engine after each.
pub(crate) struct CommitThread {
    /// `None` once the thread is to end.
    jobs: Option<Sender<Commit>>,
    results: Receiver<Committed>,
    thread: Option<JoinHandle<()>>,
}

impl CommitThread {
    pub(crate) fn start(control: Arc<Control>) -> io::Result<Self> {
        let (jobs, queue) = mpsc::channel::<Commit>();
        let (done, results) = mpsc::channel();
        let work = move || {
            for (id, upload) in queue {
                // The receiver is gone only while the engine ends.
                let _ = done.send((id, upload.commit()));
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

    /// Queues a commit.
    pub(crate) fn commit(&self, commit: Commit) {
        if let Some(jobs) = &self.jobs {
            // The thread lives as long as this value.
            let _ = jobs.send(commit);
        }
    }

    /// Returns the next result, if there is one.
    pub(crate) fn result(&self) -> Option<Committed> {
        self.results.try_recv().ok()
    }
}

impl Drop for CommitThread {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic in a backend has printed its own message.
            let _ = thread.join();
        }
    }
}
