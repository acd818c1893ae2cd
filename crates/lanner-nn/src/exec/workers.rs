//! Runs work on the images of a batch on several threads.
//!
//! A batch is cut into the same parts for every number of threads. Sums over images run in order
//! within a part, and then over the parts in order, so that the bits of a result do not depend on
//! the threads.

use std::ops::Range;
use std::sync::Mutex;

use rayon::prelude::*;

use super::Float;
use super::float::Buffer;

/// Number of parts of a batch; fewer where it has fewer images.
pub const PARTS: usize = 8;

/// Buffers of a worker for the image that it computes.
#[derive(Debug, Default)]
pub struct Scratch<T> {
    pub x: Buffer<T>,
    pub dz: Buffer<T>,
    pub dx: Buffer<T>,
    pub plain: Buffer<T>,
    pub spare: Buffer<T>,
    pub by_channel: Buffer<T>,
    /// Winograd's transformed tiles; `weights`: the gradient of its transformed weights.
    pub tiles: [Buffer<T>; 3],
    pub weights: Buffer<T>,
}

/// A number of threads, and scratch for each. The scratch that was used last is used next, since it
/// is in the cache.
#[derive(Debug, Default)]
pub struct Workers<T> {
    pub threads: usize,
    idle: Mutex<Vec<Scratch<T>>>,
}

impl<T: Float> Workers<T> {
    pub fn new(threads: usize) -> Self {
        Workers { threads: threads.max(1), idle: Mutex::new(Vec::new()) }
    }

    /// Runs `f` on every job.
    pub fn each<J: Send>(&self, jobs: Vec<J>, f: impl Fn(J, &mut Scratch<T>) + Sync) {
        let work = |job: J| {
            let mut scratch = self.lock().pop().unwrap_or_default();
            f(job, &mut scratch);
            self.lock().push(scratch);
        };
        if self.threads == 1 || jobs.len() <= 1 {
            jobs.into_iter().for_each(work);
        } else {
            let least = jobs.len().div_ceil(self.threads);
            let pool = rayon::current_num_threads();
            let least = if pool > self.threads { least } else { 1 };
            jobs.into_par_iter().with_min_len(least).for_each(work);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Scratch<T>>> {
        // Scratch has no invariants that a panic elsewhere could break.
        self.idle.lock().unwrap_or_else(|e| e.into_inner())
    }
}

/// Consecutive images of a part that are computed together.
#[derive(Debug, Clone, Copy)]
pub struct Group {
    /// Number of the first image.
    pub image: usize,
    pub count: usize,
    /// Whether this is the first or the last group of its part.
    pub first: bool,
    pub last: bool,
}

/// Divides a part into groups of at most `size` images.
pub fn groups(part: Range<usize>, size: usize) -> impl Iterator<Item = Group> {
    part.clone().step_by(size).map(move |image| Group {
        image,
        count: size.min(part.end - image),
        first: image == part.start,
        last: image + size >= part.end,
    })
}

/// Divides a batch of `images` into parts: at most [`PARTS`] ranges of images.
pub fn batch_parts(images: usize) -> Vec<Range<usize>> {
    let per = images.div_ceil(PARTS).max(1);
    (0..images).step_by(per).map(|at| at..(at + per).min(images)).collect()
}

/// Splits a buffer of `len` numbers an image into a slice for each part, empty where `len` is 0.
pub fn split_by_part<'a, T>(
    mut all: &'a mut [T],
    parts: &[Range<usize>],
    len: usize,
) -> Vec<&'a mut [T]> {
    let mut cuts = Vec::with_capacity(parts.len());
    for part in parts {
        let (head, tail) = all.split_at_mut(part.len() * len);
        cuts.push(head);
        all = tail;
    }
    cuts
}
