"""The appliance: what the machine itself must have, be and do (doctor, image, units, health)."""
