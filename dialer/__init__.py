"""The telephone door: what an exchange says becomes calls, and what people and campaigns ask for is done there."""
