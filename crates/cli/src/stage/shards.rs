//! From finished trees, in whatever order they come, to shards in the order of the problems.
//!
//! Shard s holds the trees of problems `s * shard_trees ..`, so that its bytes do not depend on which tree finished
//! first. A tree that waits for its shard is also in a journal on disk: after a kill it is read back from there, and no
//! finished tree is searched again.

use anyhow::{Context, Result, bail};
use espalier_tree::{Journal, ShardInfo, Tree, write_shard};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Collects trees by problem index and publishes each shard as soon as it is whole.
pub struct Shards {
    folder: PathBuf,
    info: ShardInfo,
    shard_trees: u64,
    problems: u64,
    journal: Journal,
    waiting: BTreeMap<u64, Tree>,
    skipped: BTreeSet<u64>,
    published: BTreeSet<u64>,
}

impl Shards {
    /// Continues in `folder`, with what an earlier, killed process left there.
    ///
    /// `folder/resume` must belong to the same configuration and the same `problems` (the caller checks).
    pub fn open(folder: &Path, info: ShardInfo, shard_trees: usize, problems: usize) -> Result<Shards> {
        let path = journal_path(folder);
        let (journal, found) = Journal::open(&path).with_context(|| format!("cannot use {}", path.display()))?;
        let mut shards = Shards {
            folder: folder.to_owned(),
            info,
            shard_trees: shard_trees as u64,
            problems: problems as u64,
            journal,
            waiting: BTreeMap::new(),
            skipped: BTreeSet::new(),
            published: BTreeSet::new(),
        };
        for shard in 0..shards.problems.div_ceil(shards.shard_trees) {
            if shards.path(shard).exists() {
                shards.published.insert(shard);
            }
        }
        for (index, tree) in found {
            if index >= shards.problems {
                bail!("{} holds problem {index} of {problems}; remove {}", path.display(), folder.display());
            }
            if !shards.is_published(index) {
                shards.waiting.insert(index, tree);
            }
        }
        // The last kill may have come between a shard's last tree and the shard.
        for shard in 0..shards.problems.div_ceil(shards.shard_trees) {
            shards.publish_if_whole(shard)?;
        }
        Ok(shards)
    }

    /// Whether the tree of this problem is finished already.
    pub fn has(&self, index: u64) -> bool {
        self.waiting.contains_key(&index) || self.is_published(index)
    }

    /// Number of problems whose trees are finished.
    pub fn finished(&self) -> u64 {
        (0..self.problems).filter(|&index| self.has(index)).count() as u64
    }

    /// Takes a finished tree.
    pub fn add(&mut self, index: u64, tree: Tree) -> Result<()> {
        self.journal.append(index, &tree).context("cannot write the journal of finished trees")?;
        self.waiting.insert(index, tree);
        self.publish_if_whole(index / self.shard_trees)
    }

    /// Notes that a problem has no tree, so that its shard does not wait for it.
    pub fn skip(&mut self, index: u64) -> Result<()> {
        self.skipped.insert(index);
        self.publish_if_whole(index / self.shard_trees)
    }

    /// Removes the journal once every shard is published.
    pub fn close(self) -> Result<()> {
        let waiting = self.waiting.len();
        if waiting > 0 {
            bail!("{waiting} finished trees belong to no whole shard");
        }
        drop(self.journal);
        let path = resume_folder(&self.folder);
        fs::remove_dir_all(&path).with_context(|| format!("cannot remove {}", path.display()))
    }

    fn is_published(&self, index: u64) -> bool {
        self.published.contains(&(index / self.shard_trees))
    }

    fn path(&self, shard: u64) -> PathBuf {
        self.folder.join(format!("part-{shard:05}.parquet"))
    }

    fn publish_if_whole(&mut self, shard: u64) -> Result<()> {
        if self.published.contains(&shard) {
            return Ok(());
        }
        let problems = shard * self.shard_trees..((shard + 1) * self.shard_trees).min(self.problems);
        if !problems.clone().all(|index| self.waiting.contains_key(&index) || self.skipped.contains(&index)) {
            return Ok(());
        }
        let trees: Vec<Tree> = problems.filter_map(|index| self.waiting.remove(&index)).collect();
        let path = self.path(shard);
        write_shard(&path, &trees, &self.info).with_context(|| format!("cannot write {}", path.display()))?;
        self.published.insert(shard);
        Ok(())
    }
}

/// Where the state of an unfinished search lies.
pub fn resume_folder(folder: &Path) -> PathBuf {
    folder.join("resume")
}

fn journal_path(folder: &Path) -> PathBuf {
    resume_folder(folder).join("journal.bin")
}
