"""The services that the emulator answers itself."""
