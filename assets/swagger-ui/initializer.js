SwaggerUIBundle({
  // Beside this folder, both in the service and on the documentation site.
  url: new URL("../openapi.json", location.href).href,
  dom_id: "#swagger-ui",
  deepLinking: true,
});
