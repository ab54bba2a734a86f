"""The dialling floor as it might be: simulated shifts that drive the very pacing policy of the live dialer."""
