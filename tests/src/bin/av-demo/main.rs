//! Plays AgentVault's main job in five acts.
fn main() {}
