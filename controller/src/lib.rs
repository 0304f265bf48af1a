//! The controller: feeds in, one hashed threat set out, to every agent.
