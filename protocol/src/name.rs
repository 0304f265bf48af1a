//! A domain name as feeds and threat sets know it: lower case, A-labels, no trailing dot.
