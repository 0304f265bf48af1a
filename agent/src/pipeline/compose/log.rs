//! DNS logs -> documents.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use namewarden_protocol::document::{Action, Document, Endpoint, Event, Latency, Server, Time, id};

use super::{Composer, LogFields, common, sentence};
use crate::pipeline::attribute::{Attribution, Workload};
use crate::pipeline::dns_log::{Clients, Counted, DnsLog};
use crate::pipeline::exchange::Exchange;
use crate::pipeline::packet::Timestamp;

impl Composer {
    /// The document of a DNS log.
    pub fn log(&mut self, log: &DnsLog, created: Timestamp) -> Document {
        let document = match log {
            DnsLog::One { exchange, folded } => self.exchange(exchange, *folded, created),
            DnsLog::Counted(counted) => self.counted(counted, created),
            DnsLog::Unlogged { whose, count, limit, start, end } => {
                self.unlogged(whose.as_ref(), (*count, *limit), (*start, *end), created)
            }
        };
        self.with_fields(document)
    }

    fn unlogged(
        &mut self,
        whose: Option<&(Arc<Workload>, Attribution)>,
        (count, limit): (u64, u64),
        (start, end): (Timestamp, Timestamp),
        created: Timestamp,
    ) -> Document {
        let mut event = self.numbered(Action::Unlogged, created);
        (event.start, event.end) = (Some(Time(start.0)), Some(Time(end.0)));
        let mut document = Document::new(Time(end.0), event, &self.identity);
        let mut who = None;
        if let Some((workload, attribution)) = whose {
            let pod = self.pod(workload);
            document.namewarden.attribution = Some(common::attribution(*attribution, pod.as_deref()));
            common::workload(&mut document, workload, pod.as_deref());
            who = Some(sentence::who(workload, pod.as_deref()));
        }
        document.message = sentence::unlogged(who, count, limit);
        (document.namewarden.count, document.namewarden.limit) = (Some(count), Some(limit));
        document
    }

    fn exchange(&mut self, exchange: &Exchange, folded: u64, created: Timestamp) -> Document {
        let mut event = self.numbered(Action::DnsLog, created);
        event.outcome = Some(common::outcome(&exchange.dns));
        event.start = Some(Time(exchange.time.0));
        event.end = Some(Time(exchange.answered.unwrap_or(exchange.time).0));
        event.duration = exchange.latency();
        let mut document = Document::new(Time(exchange.time.0), event, &self.identity);
        let workload = &exchange.attributed.workload;
        let pod = self.pod(workload);
        common::describe(&mut document, exchange, pod.as_deref());
        document.message = sentence::exchange(exchange, folded, &sentence::who(workload, pod.as_deref()));
        document.namewarden.folded = Some(folded).filter(|folded| *folded > 0);
        document.namewarden.server = self.server(exchange.server_side, Some(exchange.server.ip()));
        document.namewarden.count = Some(1);
        document.namewarden.latency =
            exchange.latency().map(|latency| Latency { count: 1, mean: latency, max: latency });
        document
    }

    fn counted(&mut self, counted: &Counted, created: Timestamp) -> Document {
        let mut event = self.numbered(Action::DnsLog, created);
        event.outcome = Some(common::outcome(&counted.dns));
        event.start = Some(Time(counted.first_seen.0));
        event.end = Some(Time(counted.last_seen.0));
        let mut document = Document::new(Time(counted.first_seen.0), event, &self.identity);
        document.namewarden.attribution =
            counted.attribution.map(|attribution| Cow::Borrowed(attribution.as_str()));
        document.namewarden.side = common::side(counted.server_side);
        document.namewarden.server = self.server(counted.server_side, counted.server);
        let who = self.clients(&mut document, &counted.clients);
        let endpoint = |ip: Option<IpAddr>| ip.map(|ip| Endpoint { ip, port: None });
        (document.client, document.source) = (endpoint(counted.client), endpoint(counted.client));
        (document.server, document.destination) = (endpoint(counted.server), endpoint(counted.server));
        let peer = counted.server.or(counted.client);
        document.network = peer.map(|peer| common::network(counted.transport, peer));
        document.related = Some(common::related(counted.client, counted.server, &counted.dns));
        document.error = common::error(counted.malformed.as_ref());
        document.dns = Some(counted.dns.clone());
        document.message = sentence::counted(counted, &who);
        document.namewarden.count = Some(counted.count);
        document.namewarden.folded = Some(counted.folded).filter(|folded| *folded > 0);
        document.namewarden.latency = counted.latency;
        document
    }

    /// Fills in whose exchanges were counted; says who that is.
    fn clients(&self, document: &mut Document, clients: &Clients) -> String {
        match clients {
            Clients::One(workload) => {
                let pod = self.pod(workload);
                common::workload(document, workload, pod.as_deref());
                if pod.as_ref().is_some_and(|pod| pod.is_contested) {
                    document.namewarden.attribution = Some(Cow::Borrowed("contested"));
                }
                sentence::who(workload, pod.as_deref())
            }
            Clients::Owned(owned) => {
                common::owned(document, owned);
                sentence::owned(owned)
            }
        }
    }

    /// The pod of this node that a workload asked.
    fn server(&self, server_side: bool, address: Option<IpAddr>) -> Option<Server> {
        let pod = self.pods.pod_at(address.filter(|_| !server_side)?.to_canonical())?;
        Some(Server { namespace: pod.namespace.clone(), pod: pod.name.clone() })
    }

    fn with_fields(&self, mut document: Document) -> Document {
        let LogFields { labels, sample } = self.log_fields;
        if let Some(kubernetes) = document.kubernetes.as_mut().filter(|_| !labels) {
            kubernetes.labels.clear();
        }
        document.namewarden.sample = Some(sample).filter(|sample| *sample > 1);
        document
    }

    fn numbered(&mut self, action: Action, created: Timestamp) -> Event {
        let id = id::log(&self.identity.instance, self.logs);
        self.logs += 1;
        Event::new(action, id, Time(created.0))
    }
}
