"""An exchange without telephones: it speaks AMI on the wire and behaves as Asterisk was seen to, for demo and tests."""
