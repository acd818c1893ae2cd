//! Work on a batch, image by image, on several threads.
//!
//! A batch is always cut into the same parts, whatever the number of threads: what is summed over
//! images is summed within a part in their order, and then over the parts in theirs. So the bits of a
//! result do not depend on the threads.

use std::ops::Range;
use std::sync::Mutex;

use rayon::prelude::*;

use super::Float;
use super::float::Buffer;

/// Parts of a batch.
pub const PARTS: usize = 8;

/// Buffers that a worker needs for the image it is at.
#[derive(Debug, Default)]
pub struct Scratch<T> {
    pub x: Buffer<T>,
    pub dz: Buffer<T>,
    pub dx: Buffer<T>,
    pub plain: Buffer<T>,
    pub spare: Buffer<T>,
    pub by_channel: Buffer<T>,
    /// Transformed tiles, and the gradient of transformed weights, of Winograd's convolutions.
    pub tiles: [Buffer<T>; 3],
    pub weights: Buffer<T>,
}

/// Scratch of the workers that run at the moment; what was used last is used next, it is in the cache.
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

/// Images of a part that are computed together.
#[derive(Debug, Clone, Copy)]
pub struct Group {
    /// The first, and how many.
    pub image: usize,
    pub count: usize,
    /// Whether they are the first or the last of their part.
    pub first: bool,
    pub last: bool,
}

/// A part in groups of at most `size` images.
pub fn groups(part: Range<usize>, size: usize) -> impl Iterator<Item = Group> {
    part.clone().step_by(size).map(move |image| Group {
        image,
        count: size.min(part.end - image),
        first: image == part.start,
        last: image + size >= part.end,
    })
}

/// The images of each part, of a batch of `images`.
pub fn batch_parts(images: usize) -> Vec<Range<usize>> {
    let per = images.div_ceil(PARTS).max(1);
    (0..images).step_by(per).map(|at| at..(at + per).min(images)).collect()
}

/// Cuts a batch of `len` numbers an image into the parts' images; empty slices where `len` is 0.
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
