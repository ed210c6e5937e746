// Sends the form of the page on, so that nobody has to press its button.
document.forms[0].submit();
