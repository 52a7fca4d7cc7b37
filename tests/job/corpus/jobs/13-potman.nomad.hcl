# Quoted values with blanks between flags.
variable "images" {}

job "example-minipot" {
  datacenters = ["minipot"]
  type        = "batch"

  group "example" {
    task "example" {
      driver = "pot"

      config {
        image   = var.images
        pot     = "example-amd64-14_1"
        tag     = "1.0.1"
        command = "/usr/local/bin/cook"
        args    = ["-h", "'Param 1'", "-n", "'Param 2'"]
      }

      resources {
        cpu    = 100
        memory = 64
      }
    }
  }
}
