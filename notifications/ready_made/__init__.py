"""Templates and event types that come with CastComm; ``install`` puts those that are missing into an organization."""
