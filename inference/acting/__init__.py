"""What predict-cam does when the label changes: it runs a program, or tells other machines."""
