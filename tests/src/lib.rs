//! What the root tests and the demo share: pods made by hand (cgroups, network namespaces), DNS servers, clients.
