//! A node of Curfew, the highly available session cluster.
