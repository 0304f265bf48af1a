//! Whose equal exchanges are counted together: one workload's, or those of all pods of one owner.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::pipeline::attribute::Workload;
use crate::pipeline::attribute::pod::{Owner, Pod, Pods};

/// Whose counted exchanges were.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Clients {
    /// One workload's.
    One(Arc<Workload>),
    /// Those of pods of one owner.
    Owned(Owned),
}

/// Pods of one owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owned {
    /// Namespace of the pods and of their owner.
    pub namespace: String,
    /// What owns them.
    pub owner: Owner,
    /// Labels that all of them bear.
    pub labels: BTreeMap<String, String>,
    /// Their UIDs.
    pub pods: BTreeSet<String>,
}

/// What tells clients apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Whose {
    Workload(Arc<str>),
    Owner(Arc<(String, Owner)>),
}

impl Clients {
    pub(super) fn whose(&self) -> Whose {
        match self {
            Self::One(workload) => Whose::Workload(Arc::from(workload.key())),
            Self::Owned(owned) => Whose::Owner(Arc::new((owned.namespace.clone(), owned.owner.clone()))),
        }
    }

    /// The pod that a single workload is in, where it is known, with its owner.
    pub(super) fn owned(&self, pods: &dyn Pods) -> Option<Self> {
        let Self::One(workload) = self else { return None };
        let pod = pods.pod(workload.pod_uid.as_deref()?)?;
        let Pod { namespace, labels, owner, uid, .. } = &*pod;
        Some(Self::Owned(Owned {
            namespace: namespace.clone(),
            owner: owner.clone()?,
            labels: labels.clone(),
            pods: [uid.clone()].into(),
        }))
    }

    /// Takes in others of the same owner.
    pub(super) fn join(&mut self, others: Self) {
        if let (Self::Owned(owned), Self::Owned(others)) = (self, others) {
            owned.labels.retain(|key, value| others.labels.get(key) == Some(value));
            owned.pods.extend(others.pods);
        }
    }

    /// Pods that are told apart in it.
    pub(super) fn pods(&self) -> usize {
        match self {
            Self::One(_) => 0,
            Self::Owned(owned) => owned.pods.len(),
        }
    }
}
