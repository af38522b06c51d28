"""What is written and printed: pictures, tables, a video, a contact sheet, a summary."""
