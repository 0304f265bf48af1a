//! What most tests begin and end with: a node, its DNS server, an agent with the feed `bad`.

use anyhow::Result;
use namewarden_tests::{
    agent::{Agent, AgentBuilder, Ended},
    client::Client,
    expect::{Alert, expect_alerts},
    node::Node,
    pod::Pod,
    server::{Server, Zone},
};

/// The DNS server as clients of pods address it.
pub const DNS: &str = "10.99.0.53:53";
/// The same over IPv6.
pub const DNS6: &str = "[fd99::53]:53";

/// A node with a DNS server and a running agent.
pub struct Scene {
    pub agent: Agent,
    pub server: Server,
    pub node: Node,
}

impl Scene {
    /// The feed lists `evil.example`; every name has an address.
    pub fn new() -> Result<Self> {
        Self::with(Zone::new(), &AgentBuilder::new("agent").feed("bad", "evil.example\n"))
    }

    /// The feed lists `evil.example`; the server answers from `zone`.
    pub fn answering(zone: Zone) -> Result<Self> {
        Self::with(zone, &AgentBuilder::new("agent").feed("bad", "evil.example\n"))
    }

    /// The server answers from `zone`; the agent is as described.
    pub fn with(zone: Zone, agent: &AgentBuilder) -> Result<Self> {
        let node = Node::start()?;
        let server = Server::start(node.dns(), zone)?;
        let agent = agent.start(&node)?;
        Ok(Self { agent, server, node })
    }

    /// A pod with a client in it.
    pub fn pod(&self) -> Result<(Pod, Client)> {
        let pod = self.node.pod().start()?;
        let client = pod.client()?;
        Ok((pod, client))
    }

    /// A pod in the host's network with a client in it.
    pub fn host_pod(&self) -> Result<(Pod, Client)> {
        let pod = self.node.pod().host_network().start()?;
        let client = pod.client()?;
        Ok((pod, client))
    }

    /// Stops the agent; its alerts must be these and no other. Node and server go on.
    pub fn stop_agent(self, alerts: &[Alert]) -> Result<(Server, Node)> {
        let ended = self.agent.stop()?;
        expect_alerts(&ended.documents, alerts)?;
        Ok((self.server, self.node))
    }

    /// Stops the agent; its alerts over its whole life must be these and no other.
    pub fn expect(self, alerts: &[Alert]) -> Result<Ended> {
        let ended = self.agent.stop()?;
        expect_alerts(&ended.documents, alerts)?;
        Ok(ended)
    }
}
