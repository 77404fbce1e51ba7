// Shows the server's own document. It is found from this script, so that the page works below a prefix, and with a slash
// at the end of its own path.
SwaggerUIBundle({
  url: new URL("../openapi.json", document.currentScript.src).href,
  dom_id: "#document",
  deepLinking: true,
  displayOperationId: false,
  displayRequestDuration: true,
  tryItOutEnabled: true,
  validatorUrl: null,
});
