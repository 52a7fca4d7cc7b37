# An option that there never was.
variable "images" {}

job "unknown" {
  datacenters = ["dc1"]

  group "web" {
    task "web" {
      driver = "pot"

      config {
        image    = var.images
        pot      = "web"
        tag      = "1.9"
        pot_name = "mine"
      }
    }
  }
}
