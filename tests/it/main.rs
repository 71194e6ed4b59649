//! One test binary: the real server, a real SQLite file and the simulator, as conversations.
