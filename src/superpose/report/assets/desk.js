function startDesk() {}
