//! The agent's sink against real search engines, and against the controller in their place. One binary, one module in `search/` for each part of the subject.

// The parts that the tests stand on, without an agent.
#[path = "search/harness.rs"]
mod harness;

// A relay that loses answers.
#[path = "search/relay.rs"]
mod relay;

// A sink, its documents, and what a data stream must hold at the end.
#[path = "search/rig.rs"]
mod rig;

// What the controller installs.
#[path = "search/setup.rs"]
mod setup;

// Fields that are searched for, panels that show something.
#[path = "search/fields.rs"]
mod fields;

// Documents arrive as they are written.
#[path = "search/arriving.rs"]
mod arriving;

// Servers that end, answers that are lost, streams that roll over.
#[path = "search/faults.rs"]
mod faults;

// Disks that are full.
#[path = "search/disks.rs"]
mod disks;

// Agents that are killed.
#[path = "search/kills.rs"]
mod kills;

// The controller in a search engine's place.
#[path = "search/controllers.rs"]
mod controllers;

// Names that are listed after they were asked for.
#[path = "search/looking_back.rs"]
mod looking_back;

// The agent as a program, from the kernel to the data stream.
#[path = "search/agents.rs"]
mod agents;

// Feeds that are pushed to a search engine.
#[path = "search/pushed.rs"]
mod pushed;

// Servers that know who asks.
#[path = "search/rights.rs"]
mod rights;

// The controller's store in a search engine.
#[path = "search/stores.rs"]
mod stores;

// What a controller tells of documents in a search engine.
#[path = "search/told.rs"]
mod told;

// What the controller's own tests of stores speak of.
use namewarden_controller::store;
