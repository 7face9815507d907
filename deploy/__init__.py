"""An exported file to the code and pages that run it elsewhere: browser, phone, microcontroller."""
