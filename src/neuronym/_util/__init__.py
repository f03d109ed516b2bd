"""What every package needs and none is about: files, fonts, tasks and bars."""
