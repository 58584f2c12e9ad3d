"""What each channel needs in order to address and to say something: one file per channel."""
