"""What the program does from end to end; a flow wires rooms together and never calls another flow."""
