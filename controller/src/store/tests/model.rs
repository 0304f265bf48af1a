//! The naive store: a list that is gone through from its beginning to its end for each question.

use std::collections::BTreeMap;

use namewarden_protocol::document::Time;

use super::made_up::{Operation, Spec};
use crate::store::{
    Annotation, Bucket, Field, Filter, Histogram, Hit, Order, Outcome, Search, Store, StoreError, Stream,
    Top, TopValue,
};

/// Documents in the order of their arrival, and what is said of groups.
#[derive(Default)]
pub struct Model {
    documents: Vec<Spec>,
    annotations: BTreeMap<(String, String), Annotation>,
    /// The last arrival by stream and namespace.
    arrived: BTreeMap<(&'static str, String), u64>,
}

impl Model {
    /// Does the same to both, and expects the same of both.
    pub async fn compare(&mut self, store: &dyn Store, operation: Operation) {
        match operation {
            Operation::Append(specs) => self.append(store, specs).await,
            Operation::Annotate { cluster, group, annotation } => {
                let is_there = self.documents.iter().any(|one| {
                    one.stream == Stream::Alerts
                        && one.cluster == cluster
                        && one.group.as_ref() == Some(&group)
                });
                let expected = if is_there { Ok(()) } else { Err(StoreError::NoSuchGroup(group.clone())) };
                let said = store.annotate(cluster.clone(), group.clone(), annotation.clone()).await;
                assert_eq!(said, expected);
                if is_there {
                    self.annotations.insert((cluster, group), annotation);
                }
            }
            Operation::Search(search) => self.search(store, search).await,
            Operation::Histogram(histogram) => {
                let expected = self.histogram(&histogram);
                assert_eq!(store.histogram(histogram).await, Ok(expected));
            }
            Operation::Top(top) => {
                let expected = self.top(&top);
                assert_eq!(store.top(top).await, Ok(expected));
            }
            Operation::Get { stream, cluster, id } => {
                let is_it = |one: &&Spec| one.stream == stream && one.cluster == cluster && one.id == id;
                let mut found: Vec<_> = self.documents.iter().filter(is_it).collect();
                found.sort_by_key(|one| (one.time, one.space.clone()));
                let expected = found.last().map(|one| self.hit(one));
                assert_eq!(store.get(stream, cluster, id).await, Ok(expected));
            }
            Operation::Restart => {}
        }
    }

    async fn append(&mut self, store: &dyn Store, specs: Vec<Spec>) {
        let appended = store.append(specs.iter().map(Spec::incoming).collect()).await.unwrap();
        assert_eq!(appended.len(), specs.len());
        for (spec, appended) in specs.into_iter().zip(appended) {
            let same = |one: &Spec| one.stream == spec.stream && one.id == spec.id && one.space == spec.space;
            let is_there = self.documents.iter().any(same);
            assert_eq!(appended.id, spec.id);
            match appended.outcome {
                Outcome::Exists => assert!(is_there, "{spec:?}"),
                Outcome::Created { arrival } => {
                    assert!(!is_there, "{spec:?}");
                    let last = self.arrived.insert((spec.stream.name(), spec.space.clone()), arrival);
                    assert!(last.is_none_or(|last| arrival > last), "{spec:?}");
                    self.documents.push(spec);
                }
                other => panic!("{other:?}"),
            }
        }
    }

    async fn search(&self, store: &dyn Store, search: Search) {
        let mut expected: Vec<_> = self.matching(search.stream, &search.filter).collect();
        let key = |one: &&Spec| (one.time, one.id.clone(), one.space.clone());
        match search.order {
            Order::NewestFirst => expected.sort_by_key(|one| std::cmp::Reverse(key(one))),
            Order::OldestFirst => expected.sort_by_key(key),
            Order::Arrival => {}
        }
        let mut expected: Vec<_> = expected.into_iter().map(|one| self.hit(one)).collect();
        let (mut found, mut page) = (Vec::new(), search.clone());
        loop {
            let answer = store.search(page.clone()).await.unwrap();
            let is_full = answer.hits.len() == search.limit;
            assert!(answer.hits.len() <= search.limit);
            found.extend(answer.hits);
            if !is_full {
                break;
            }
            assert!(answer.next.is_some());
            page.after = answer.next;
        }
        if search.order == Order::Arrival {
            // Data streams do not know each other: the order of arrival is that within each.
            for hits in [&mut found, &mut expected] {
                hits.sort_by_key(|hit| hit.namespace.clone());
            }
        }
        let only = |these: &[Hit], those: &[Hit]| {
            these.iter().filter(|hit| !those.contains(hit)).cloned().collect::<Vec<_>>()
        };
        let (missing, surplus) = (only(&expected, &found), only(&found, &expected));
        let ids = |hits: &[Hit]| hits.iter().map(|hit| hit.id.clone()).collect::<Vec<_>>();
        assert!(
            found == expected,
            "missing: {missing:#?}, surplus: {surplus:#?}, found {:?}, expected {:?} by {search:?}",
            ids(&found),
            ids(&expected)
        );
    }

    fn matching<'m>(&'m self, stream: Stream, filter: &'m Filter) -> impl Iterator<Item = &'m Spec> {
        self.documents.iter().filter(move |one| one.stream == stream && self.matches(one, filter))
    }

    fn matches(&self, one: &Spec, filter: &Filter) -> bool {
        let is = |wanted: &Option<String>, values: &[&Option<String>]| {
            wanted.is_none() || values.contains(&wanted)
        };
        let state = self.annotation(one).map(|said| said.state).unwrap_or_default();
        one.cluster == filter.cluster
            && filter.since.is_none_or(|since| one.time >= since)
            && filter.until.is_none_or(|until| one.time < until)
            && is(&filter.namespace, &[&one.namespace])
            && is(&filter.pod, &[&one.pod, &one.pod_uid])
            && is(&filter.domain, &[&one.question, &one.entry])
            && filter.feed.as_ref().is_none_or(|feed| one.feeds.contains(feed))
            && filter.severity.as_ref().is_none_or(|range| one.severity.is_some_and(|it| range.contains(&it)))
            && (filter.kinds.is_empty() || one.action.is_some_and(|action| filter.kinds.contains(&action)))
            && (filter.states.is_empty() || filter.states.contains(&state))
    }

    fn annotation(&self, one: &Spec) -> Option<&Annotation> {
        if one.stream == Stream::Logs {
            return None;
        }
        self.annotations.get(&(one.cluster.clone(), one.group.clone()?))
    }

    fn hit(&self, one: &Spec) -> Hit {
        Hit {
            id: one.id.clone(),
            namespace: one.space.clone(),
            time: one.time,
            source: one.source(),
            annotation: self.annotation(one).cloned(),
        }
    }

    fn histogram(&self, histogram: &Histogram) -> Vec<Bucket> {
        let bucket = |number: usize| {
            let from = Time(histogram.from.0 + histogram.step * number as u64);
            let until = Time(from.0 + histogram.step);
            let filter = Filter { since: Some(from), until: Some(until), ..histogram.filter.clone() };
            Bucket { from, documents: self.matching(histogram.stream, &filter).count() as u64 }
        };
        (0..histogram.steps).map(bucket).collect()
    }

    fn top(&self, top: &Top) -> Vec<TopValue> {
        let mut counts = BTreeMap::<String, u64>::new();
        for one in self.matching(top.stream, &top.filter) {
            let mut values: Vec<_> = match top.field {
                Field::Namespace => one.namespace.iter().cloned().collect(),
                Field::Pod => one.pod.iter().chain(&one.pod_uid).take(1).cloned().collect(),
                Field::Question => one.question.iter().cloned().collect(),
                Field::Entry => one.entry.iter().cloned().collect(),
                Field::Feed => one.feeds.clone(),
                Field::Node => one.node.iter().cloned().collect(),
                Field::Kind => one
                    .action
                    .iter()
                    .map(|action| serde_json::to_value(action).unwrap().as_str().unwrap().to_owned())
                    .collect(),
            };
            values.sort();
            values.dedup();
            for value in values {
                *counts.entry(value).or_default() += 1;
            }
        }
        let mut values: Vec<_> =
            counts.into_iter().map(|(value, documents)| TopValue { value, documents }).collect();
        values.sort_by_key(|value| std::cmp::Reverse(value.documents));
        values.truncate(top.limit);
        values
    }
}
